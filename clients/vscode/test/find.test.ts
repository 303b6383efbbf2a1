import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findServer, type Places } from '../src/find';

const SET = '/set/starfill';
const SELECTED = '/project/.venv/bin/starfill';
const FIRST_ON_PATH = '/usr/local/bin/starfill';
const PRIVATE = '/storage/environment/bin/starfill';

function places(programs: string[], changed: Partial<Places> = {}): Places {
  return {
    setting: '',
    interpreter: async () => '/project/.venv/bin/python3',
    searchPath: '/usr/local/bin:/usr/bin',
    privateEnvironment: '/storage/environment',
    windows: false,
    isProgram: async (path) => programs.includes(path),
    ...changed,
  };
}

async function program(of: Places): Promise<string | undefined> {
  const found = await findServer(of);
  return found && 'program' in found ? found.program : undefined;
}

test('the places are looked at in order', async () => {
  const everywhere = [SET, SELECTED, FIRST_ON_PATH, '/usr/bin/starfill', PRIVATE];
  assert.equal(await program(places(everywhere, { setting: SET })), SET);
  assert.equal(await program(places(everywhere)), SELECTED);
  assert.equal(await program(places(everywhere, { interpreter: async () => undefined })), FIRST_ON_PATH);
  assert.equal(await program(places(['/usr/bin/starfill', PRIVATE])), '/usr/bin/starfill');
  assert.equal(await program(places([PRIVATE])), PRIVATE);
  assert.equal(await program(places([])), undefined);
});

test('a setting that names no program is a problem, and nothing else is taken', async () => {
  const found = await findServer(places([SELECTED, PRIVATE], { setting: SET }));
  assert.match(found && 'problem' in found ? found.problem : '', /starfill\.server\.path names \/set\/starfill/);
});

test('no other place is asked once the server is found', async () => {
  const interpreter = () => assert.fail('the Python extension was asked');
  assert.equal(await program(places([SET], { setting: SET, interpreter })), SET);
});

test('relative folders on the PATH are left out', async () => {
  assert.equal(await program(places(['starfill', 'bin/starfill', './starfill'], { searchPath: ':.:bin' })), undefined);
});

test('on Windows a program ends in .exe and stands in Scripts', async () => {
  const windows = { windows: true, searchPath: 'C:\\tools;D:\\more', privateEnvironment: 'C:\\storage' };
  const conda = { ...windows, interpreter: async () => 'C:\\conda\\python.exe' };
  const venv = { ...windows, interpreter: async () => 'C:\\venv\\Scripts\\python.exe' };
  const none = { ...windows, interpreter: async () => undefined };
  for (const [of, path] of [
    [conda, 'C:\\conda\\Scripts\\starfill.exe'],
    [venv, 'C:\\venv\\Scripts\\starfill.exe'],
    [none, 'D:\\more\\starfill.exe'],
    [none, 'C:\\storage\\Scripts\\starfill.exe'],
  ] as const) {
    assert.equal(await program(places([path], of)), path);
  }
});
