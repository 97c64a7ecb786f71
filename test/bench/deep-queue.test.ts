import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DeepQueue } from '../../bench/deep-queue.ts';
import { placesIn } from '../../bench/waiting/place.ts';

it('a deep queue behaves as an array that is taken from at the front, however long', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('push' as const), count: fc.integer({ min: 1, max: 1_500 }) }),
      fc.record({ kind: fc.constant('shift' as const), count: fc.integer({ min: 1, max: 1_500 }) }),
      fc.record({ kind: fc.constant('remove' as const), count: fc.integer({ min: 0, max: 3_000 }) }),
    ),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const queue = new DeepQueue<{ n: number }>();
      const model: { n: number }[] = [];
      for (const { kind, count } of all) {
        const chosen = model[count % Math.max(model.length, 1)];
        if (kind === 'remove' && chosen !== undefined) {
          queue.remove(chosen);
          model.splice(model.indexOf(chosen), 1);
        }
        for (let n = 0; n < count && kind === 'push'; n += 1) {
          const item = { n };
          queue.push(item);
          model.push(item);
        }
        for (let n = 0; n < count && kind === 'shift'; n += 1) expect(queue.shift()).toBe(model.shift() ?? null);
        expect(queue.size).toBe(model.length);
      }
    }),
    { numRuns: 30 },
  );
});

it('places to cancel at are different tasks, the same in each run, as many of each place', () => {
  const chosen = placesIn(1_000, 50);
  expect(chosen.size).toBe(200);
  for (const place of ['first', 'middle', 'last', 'random']) {
    expect([...chosen.values()].filter((each) => each === place)).toHaveLength(50);
  }
  expect(chosen.get(0)).toBe('first');
  expect(chosen.get(999)).toBe('last');
  expect(chosen.get(500)).toBe('middle');
  expect([...placesIn(1_000, 50)]).toEqual([...chosen]);
});
