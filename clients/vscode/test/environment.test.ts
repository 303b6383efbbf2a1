import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { InstallError, makeEnvironment, type Progress } from '../src/environment';

// A Python of a few lines: its version, `-m venv` copies it, `-m pip` does what the requirement's name says.
const PYTHON = `#!/bin/sh
here=$(dirname "$0")
case "$1 $2" in
  "-c "*) echo "\${VERSION:-3 12}" ;;
  "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m pip")
    for requirement; do :; done
    echo "Collecting $requirement"
    case "$requirement" in
      good) cp "$0" "$here/starfill" ;;
      bad) echo "ERROR: No matching distribution found for bad" >&2; exit 1 ;;
      slow) sleep 60 & wait ;;
    esac ;;
esac
`;

const skip = process.platform === 'win32';
const PATH = process.env['PATH'];
let folder: string;
let environment: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starfill-'));
  environment = join(folder, 'environment');
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'python3'), PYTHON);
  await chmod(join(bin, 'python3'), 0o755);
  process.env['PATH'] = `${bin}:/usr/bin:/bin`;
});

afterEach(async () => {
  process.env['PATH'] = PATH;
  delete process.env['VERSION'];
  await rm(folder, { recursive: true, force: true });
});

function progress(steps: string[] = [], signal = new AbortController().signal): Progress {
  return { step: (text) => steps.push(text), log: () => {}, signal };
}

test('an environment is made, and each step is told', { skip }, async () => {
  const steps: string[] = [];
  await makeEnvironment(environment, 'good', progress(steps));
  assert.ok(existsSync(join(environment, 'bin', 'starfill')));
  assert.deepEqual(steps, ['looking for Python', 'making a virtual environment', 'pip is starting', 'Collecting good']);
});

test('one that is there is brought up to date, and kept if that fails', { skip }, async () => {
  await makeEnvironment(environment, 'good', progress());
  await assert.rejects(makeEnvironment(environment, 'bad', progress()), InstallError);
  assert.ok(existsSync(join(environment, 'bin', 'starfill')));
});

test('a failure is one sentence with what pip said, and leaves nothing behind', { skip }, async () => {
  await assert.rejects(makeEnvironment(environment, 'bad', progress()), {
    message: 'The server could not be installed with `pip install bad`: No matching distribution found for bad',
  });
  assert.ok(!existsSync(environment));
});

test('something that brings no server is refused', { skip }, async () => {
  await assert.rejects(makeEnvironment(environment, 'empty', progress()), /has brought no program "starfill"/);
});

test('it can be stopped', { skip }, async () => {
  const stopping = new AbortController();
  const steps: string[] = [];
  const following = {
    ...progress(steps, stopping.signal),
    step: (text: string) => text === 'Collecting slow' && stopping.abort(),
  };
  await assert.rejects(makeEnvironment(environment, 'slow', following), InstallError);
  assert.ok(!existsSync(environment));
});

test('a Python that is too old is named as the reason', { skip }, async () => {
  process.env['VERSION'] = '3 8';
  process.env['PATH'] = join(folder, 'bin');
  await assert.rejects(makeEnvironment(environment, 'good', progress()), /needs Python 3\.10 to 3\.14/);
});
