// Making the private environment: python -m venv, then pip install.
import { rm } from 'node:fs/promises';
import { pythonIn, serverIn } from './find';
import { type Ended, isProgram, run, WINDOWS } from './process';

const OLDEST = 10; // of Python 3
const NEWEST = 14;
const NAMES = ['python3', 'python', ...Array.from({ length: NEWEST - OLDEST + 1 }, (_, n) => `python3.${NEWEST - n}`)];
const MAX_LINE = 80; // characters of pip's output in a notification

/** Its message is one sentence for the user. */
export class InstallError extends Error {}

export interface Progress {
  /** What is being done right now, in a few words. */
  step: (text: string) => void;
  /** Everything that the programs write. */
  log: (line: string) => void;
  signal: AbortSignal;
}

/** Makes the environment in `folder`, or brings the one there up to date. requirement: what pip is to install. */
export async function makeEnvironment(folder: string, requirement: string, progress: Progress): Promise<void> {
  const isNew = !(await isProgram(serverIn(folder, WINDOWS)));
  try {
    if (isNew) await makeEmpty(folder, progress);
    progress.step('pip is starting');
    const pip = [
      '-m',
      'pip',
      'install',
      '--upgrade',
      '--disable-pip-version-check',
      '--no-input',
      '--progress-bar=off',
    ];
    await must(
      `The server could not be installed with \`pip install ${requirement}\``,
      run(pythonIn(folder, WINDOWS), [...pip, requirement], {
        signal: progress.signal,
        onLine: (line) => {
          progress.log(line);
          if (/^(Collecting|Downloading|Building|Installing|Using cached|Processing)/.test(line.trim())) {
            progress.step(line.trim().slice(0, MAX_LINE));
          }
        },
      }),
    );
    if (!(await isProgram(serverIn(folder, WINDOWS)))) {
      throw new InstallError(
        `\`pip install ${requirement}\` has brought no program "starfill": see starfill.server.install.`,
      );
    }
  } catch (error) {
    if (isNew) await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function makeEmpty(folder: string, progress: Progress): Promise<void> {
  progress.step('looking for Python');
  const python = await findPython();
  progress.log(`${python} -m venv ${folder}`);
  progress.step('making a virtual environment');
  await must(
    `${python} can't make a virtual environment (on Debian and Ubuntu: \`apt install python3-venv\`)`,
    run(python, ['-m', 'venv', '--clear', folder], { signal: progress.signal, onLine: progress.log }),
  );
}

async function findPython(): Promise<string> {
  for (const name of NAMES) {
    const version = await run(name, ['-c', 'import sys; print(*sys.version_info[:2])'], {}).catch(() => undefined);
    const [major, minor] = (version?.lines[0] ?? '').split(' ').map(Number);
    if (major === 3 && minor !== undefined && minor >= OLDEST && minor <= NEWEST) return name;
  }
  throw new InstallError(
    `Starfill needs Python 3.${OLDEST} to 3.${NEWEST}, and there is none on the PATH: install one,` +
      ' or set starfill.server.path.',
  );
}

/** InstallError with what the program said last, unless it has ended well. */
async function must(failed: string, running: Promise<Ended>): Promise<void> {
  const { code, lines } = await running.catch((error: Error) => ({ code: null, lines: [error.message] }));
  if (code === 0) return;
  const said = lines.findLast((line) => /error/i.test(line)) ?? lines.findLast((line) => line.trim()) ?? '';
  throw new InstallError(`${failed}: ${said.replace(/^ERROR:\s*/, '').trim() || `it ended with ${code}`}`);
}
