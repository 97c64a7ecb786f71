/** Inputs of an all() that wait in a chunk behind one that blocks its thread. */
import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';

const count = 1_500;
const blocking = 700;

/** One blocks until the one behind it has run. */
const act = backgroundTask(function act(words: Int32Array, index: number) {
  Atomics.add(words, 1 + index, 1);
  if (index === 700) Atomics.wait(words, 0, 0);
  if (index === 701) {
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
  }
  return index;
});

it('run elsewhere, each once', async () => {
  await using supervisor = new TaskSupervisor({ threads: { poolSize: 2, reserveNormal: 0, reserveHigh: 0 } });
  const words = new Int32Array(new SharedArrayBuffer(4 * (1 + count)));
  const indexes = Array.from({ length: count }, (_, index) => index);
  const results = await act.with({ supervisor }).all(indexes.map((index) => [words, index]));
  expect(results).toEqual(indexes);
  expect(words.subarray(1).every((runs) => runs === 1)).toBe(true);
  expect(words[1 + blocking]).toBe(1);
});
