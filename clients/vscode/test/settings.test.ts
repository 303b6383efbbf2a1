import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filledIn, forServer } from '../src/settings';

test("the server gets the section without the extension's own settings", () => {
  const section = { model: 'bundled', instruct: { model: '' }, server: { path: '/x' }, trace: { server: 'off' } };
  assert.deepEqual(forServer(section), { model: 'bundled', instruct: { model: '' } });
  assert.deepEqual(forServer(null), {});
});

for (const [path, expected] of [
  [' /opt/starfill ', '/opt/starfill'],
  ['~/bin/starfill', '/home/me/bin/starfill'],
  ['~other/starfill', '~other/starfill'],
  ['${workspaceFolder}/.venv/bin/starfill', '/project/.venv/bin/starfill'],
  ['${userHome}/${env:PLACE}/starfill', '/home/me/there/starfill'],
  ['/a/${env:MISSING}/starfill', '/a//starfill'],
  ['', ''],
] as const) {
  test(`"${path}" is "${expected}"`, () => {
    assert.equal(filledIn(path, { home: '/home/me', folder: '/project', env: { PLACE: 'there' } }), expected);
  });
}

test('without a folder that is trusted its name stays as it is', () => {
  const path = '${workspaceFolder}/starfill';
  assert.equal(filledIn(path, { home: '/home/me', folder: undefined, env: {} }), path);
});
