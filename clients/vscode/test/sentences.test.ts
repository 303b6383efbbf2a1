import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groups, size } from '../src/models';
import type { LastCompletion, Model } from '../src/protocol';
import { explanation } from '../src/why';

const LAST: LastCompletion = {
  reason: null,
  source: 'model',
  promptTokens: 500,
  cachedTokens: 490,
  generatedTokens: 12,
  totalMs: 81.6,
  model: 'wizardcoder',
  device: 'https://engine.example.com',
};

for (const [last, expected] of [
  [
    { ...LAST, reason: 'the line is complete' },
    'no suggestion, because the line is complete.' +
      ' wizardcoder on https://engine.example.com read 500 tokens of prompt (490 known already) and wrote 12 in 82 ms.',
  ],
  [
    { ...LAST, source: 'reuse' },
    'there was a suggestion when it was asked for last. It was the rest of the one before.',
  ],
  [
    { ...LAST, reason: 'the model is still loading.', source: 'none' },
    'no suggestion, because the model is still loading.',
  ],
] as [LastCompletion, string][]) {
  test(expected, () => assert.equal(explanation(last), expected));
}

test('models stand in groups, with their sizes; empty groups are left out', () => {
  const models: Model[] = [
    { name: 'a/known:branch', where: 'known', bytes: 8_910_000_000, current: false },
    { name: 'bundled', where: 'bundled', bytes: 7_000_000, current: true },
    { name: 'b/unknown', where: 'known', bytes: null, current: false },
  ];
  assert.deepEqual(
    groups(models).map(({ title, rows }) => [title, rows.map(({ label, description }) => `${label}: ${description}`)]),
    [
      ['Comes with Starfill', ['bundled: 7 MB · in use']],
      ['To download: you are asked first', ['a/known:branch: 8.9 GB', 'b/unknown: ']],
    ],
  );
});

test('sizes are read at a glance', () => {
  assert.deepEqual([1, 7_400_000, 999_000_000, 35_330_000_000].map(size), ['1 MB', '7 MB', '999 MB', '35.3 GB']);
});
