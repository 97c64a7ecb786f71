/** The words of the summary, for each count. */
import { expect, it } from 'vitest';
import { summarize } from '../../src/cli/map/summary.ts';
import { Tally } from '../../src/cli/map/tally.ts';

function tallyOf(succeeded: number, failed: number): Tally {
  const tally = new Tally();
  for (let n = 0; n < succeeded; n += 1) tally.succeed();
  for (let index = 0; index < failed; index += 1) tally.fail({ index, input: 'a', error: new Error('m') });
  return tally;
}

it.each([
  [0, 0, '0 done in'],
  [1, 0, '1 done in'],
  [0, 1, '1 done, and it failed, in'],
  [0, 2, '2 done, all of them failed, in'],
  [1, 1, '2 done, 1 of them failed, in'],
])('%d that succeeded and %d that failed are: %s', (succeeded, failed, words) => {
  expect(summarize(tallyOf(succeeded, failed), false).startsWith(`${words} `)).toBe(true);
});

it('says how many there were to be, if it was stopped', () => {
  const tally = tallyOf(0, 1);
  tally.total = 3;
  expect(summarize(tally, true)).toMatch(/^stopped: 1 of 3 done, and it failed, in /);
});
