import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';

export const WINDOWS = process.platform === 'win32';

export async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, WINDOWS ? constants.F_OK : constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

export interface Ended {
  code: number | null;
  lines: string[];
}

/** Runs a program to its end; onLine gets each line that it writes. Stopped, with its children, by the signal. */
export async function run(
  program: string,
  args: string[],
  { signal, onLine = () => {}, env = {} }: { signal?: AbortSignal; onLine?: (line: string) => void; env?: object },
): Promise<Ended> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: !WINDOWS, // a process group, so that its children can be stopped too
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      onLine(line);
    });
  }
  const stop = () => killGroup(child);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  try {
    const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
    return { code, lines };
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (WINDOWS) spawn('taskkill', ['/pid', String(child.pid), '/t', '/f']);
  else if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM');
}
