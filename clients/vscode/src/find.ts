// Where the server is. Pure, but for the look at files that it is given.
import { posix, win32 } from 'node:path';

export interface Places {
  /** The setting `starfill.server.path`, "" where it isn't set. */
  setting: string;
  /** The interpreter that is selected in the Python extension. */
  interpreter: () => Promise<string | undefined>;
  /** The variable PATH. */
  searchPath: string;
  /** The folder of the environment that this extension makes. */
  privateEnvironment: string;
  windows: boolean;
  isProgram: (path: string) => Promise<boolean>;
}

export type Found = { program: string; from: string } | { problem: string } | undefined;

/** The server's program; undefined where there is none yet. */
export async function findServer(places: Places): Promise<Found> {
  const { setting, isProgram } = places;
  // 1. What the setting says, and nothing else if it says something.
  if (setting) {
    if (await isProgram(setting)) return { program: setting, from: 'the setting starfill.server.path' };
    return { problem: `The setting starfill.server.path names ${setting}, which is no program that can be run here.` };
  }
  // 2. The environment that is selected in the Python extension.
  const interpreter = await places.interpreter();
  const selected = interpreter && (await first(besideInterpreter(interpreter, places.windows), isProgram));
  if (selected) return { program: selected, from: 'the selected Python environment' };
  // 3. PATH.
  const installed = await first(onPath(places), isProgram);
  if (installed) return { program: installed, from: 'PATH' };
  // 4. The private environment.
  const own = serverIn(places.privateEnvironment, places.windows);
  return (await isProgram(own)) ? { program: own, from: 'the private environment' } : undefined;
}

/** Where pip puts the server into a virtual environment. */
export function serverIn(environment: string, windows: boolean): string {
  return windows ? win32.join(environment, 'Scripts', 'starfill.exe') : posix.join(environment, 'bin', 'starfill');
}

/** The interpreter of a virtual environment. */
export function pythonIn(environment: string, windows: boolean): string {
  return windows ? win32.join(environment, 'Scripts', 'python.exe') : posix.join(environment, 'bin', 'python');
}

function besideInterpreter(interpreter: string, windows: boolean): string[] {
  if (!windows) return [posix.join(posix.dirname(interpreter), 'starfill')];
  const folder = win32.dirname(interpreter);
  return [win32.join(folder, 'starfill.exe'), win32.join(folder, 'Scripts', 'starfill.exe')];
}

function onPath({ searchPath, windows }: Places): string[] {
  const path = windows ? win32 : posix;
  return searchPath
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder)) // a relative one would be looked for in the opened folder
    .map((folder) => path.join(folder, windows ? 'starfill.exe' : 'starfill'));
}

async function first(paths: string[], isProgram: (path: string) => Promise<boolean>): Promise<string | undefined> {
  for (const path of paths) if (await isProgram(path)) return path;
  return undefined;
}
