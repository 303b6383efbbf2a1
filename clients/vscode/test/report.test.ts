import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Enabled, Status } from '../src/protocol';
import { appearance, type Report } from '../src/report';

const READY: Status = { state: 'ready', message: '', model: 'bundled', device: 'cpu', progress: null };
const ON: Enabled = { enabled: true, all: true, language: true, file: true, reason: '' };
const OFF: Enabled = { ...ON, enabled: false, file: false, reason: 'suggestions are turned off for this file' };

const rows: [Report, Enabled | undefined, string, string][] = [
  [READY, ON, '$(star-full) Starfill', 'Starfill: ready, model bundled on cpu'],
  [
    { ...READY, message: 'bundled on this machine suggests instead: it is gone' },
    ON,
    '$(star-full) Starfill bundled',
    'Starfill: ready, bundled on this machine suggests instead: it is gone',
  ],
  [READY, undefined, '$(star-full) Starfill', 'Starfill: ready, model bundled on cpu'],
  [{ ...READY, state: 'busy' }, ON, '$(star-half) Starfill', 'Starfill: busy, model bundled on cpu'],
  [READY, OFF, '$(circle-slash) Starfill', 'Starfill: suggestions are turned off for this file'],
  [
    { ...READY, state: 'paused', message: 'suggestions are off' },
    OFF,
    '$(circle-slash) Starfill',
    'Starfill: suggestions are off',
  ],
  [
    { ...READY, state: 'loading', message: 'Downloading the model', progress: 0.429 },
    OFF,
    '$(loading~spin) Starfill 42%',
    'Starfill: Downloading the model bundled 42%',
  ],
  [{ ...READY, state: 'loading', message: '' }, ON, '$(loading~spin) Starfill', 'Starfill: loading the model bundled'],
  [{ ...READY, state: 'starting', model: '' }, ON, '$(loading~spin) Starfill', 'Starfill: the server is starting'],
  [{ ...READY, state: 'error', message: 'No config.json.' }, ON, '$(warning) Starfill', 'Starfill: No config.json.'],
  [{ state: 'failed', message: 'It ended.' }, undefined, '$(warning) Starfill', 'Starfill: It ended.'],
  [{ state: 'missing', message: 'not there' }, undefined, '$(star-empty) Starfill', 'Starfill: not there'],
  [
    { state: 'installing', message: '' },
    undefined,
    '$(loading~spin) Starfill',
    'Starfill: the server is being installed',
  ],
  [{ state: 'stopped', message: '' }, undefined, '$(star-empty) Starfill', 'Starfill: the server is stopped'],
];

for (const [report, file, text, sentence] of rows) {
  test(`${report.state}${file && !file.enabled ? ', off for the file' : ''}: ${sentence}`, () => {
    const seen = appearance(report, file);
    assert.deepEqual([seen.text, seen.sentence], [text, sentence]);
  });
}

test('only what needs the user has a colour', () => {
  const coloured = rows.filter(([report, file]) => appearance(report, file).background).map(([report]) => report.state);
  assert.deepEqual(coloured, ['error', 'failed', 'missing']);
});
