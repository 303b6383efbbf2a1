import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Crashes } from '../src/crashes';
import { atMostOneQueued } from '../src/queue';

/** Work that ends when it is told to. */
function worker() {
  const ends: (() => void)[] = [];
  let running = 0;
  const seen = { runs: 0, most: 0 };
  const work = async () => {
    seen.runs += 1;
    seen.most = Math.max(seen.most, ++running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running -= 1;
  };
  return { work, seen, end: async () => (ends.shift()?.(), await turn()) };
}

test('calls during a run share one more run', async () => {
  const { work, seen, end } = worker();
  const restart = atMostOneQueued(work);
  const all = [restart(), restart(), restart(), restart()];
  await end();
  await end();
  await Promise.all(all);
  assert.deepEqual(seen, { runs: 2, most: 1 });
});

test('a call during the queued run leads to another one', async () => {
  const { work, seen, end } = worker();
  const restart = atMostOneQueued(work);
  const all = [restart(), restart()];
  await end();
  all.push(restart());
  await end();
  await end();
  await Promise.all(all);
  assert.deepEqual(seen, { runs: 3, most: 1 });
});

test('a run that fails is no obstacle to the next one', async () => {
  let runs = 0;
  const restart = atMostOneQueued(async () => {
    if (++runs === 1) throw new Error('the first one');
  });
  const [first, second] = await Promise.allSettled([restart(), restart()]);
  assert.deepEqual([first.status, second.status, runs], ['rejected', 'fulfilled', 2]);
  await restart();
  assert.equal(runs, 3);
});

test('a server that ends again and again is left alone after four starts within three minutes', () => {
  const crashes = new Crashes();
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((second) => crashes.mayRestart(second * 1000)),
    [true, true, true, true, false],
  );
});

test('a server that ends now and then is always started again', () => {
  const crashes = new Crashes();
  for (let minute = 0; minute < 60; minute++) assert.ok(crashes.mayRestart(minute * 60_000));
});
