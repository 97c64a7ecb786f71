import { expect, it } from 'vitest';
import { Outage } from '../../src/couriers/outage.ts';

it('an outage is not over with the answer to a call from before it', async () => {
  const reports: unknown[] = [];
  const outage = new Outage((error) => reports.push(error));
  const { signal } = new AbortController();
  let answer = () => {};
  const early = outage.retry(() => new Promise<void>((resolve) => (answer = resolve)), signal);
  outage.report('first');
  answer();
  await early;
  outage.report('first again');
  expect(reports).toEqual(['first']);
  await outage.retry(async () => {}, signal);
  outage.report('second');
  expect(reports).toEqual(['first', 'second']);
});
