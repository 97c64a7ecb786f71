import { expect, it } from 'vitest';
import { runProgram } from '../fixtures/program.ts';

const mb = 1024 * 1024;

it('leaves nothing behind after 100,000 mixed tasks, each settled once', { timeout: 120_000 }, async () => {
  const total = 100_000;
  const { code, lines, stderr } = await runProgram('leaks.mjs', { nodeArgs: ['--expose-gc'], args: [String(total)] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { settled, events, info, left, after, firstHeap, secondHeap } = JSON.parse(lines[0] ?? '');
  expect(settled).toBe(total);
  expect(events.completed + events.failed + events.canceled).toBe(total);
  expect(info.submitted).toBe(total);
  expect(info.ended.crashed).toBe(total / 5_000);
  expect(info.ended.timeout).toBe(total / 2_500);
  expect(left).toEqual({ pending: 0, listeners: 0, timers: 0 });
  expect(after).toEqual({ threads: 0, ports: 0 });
  // The same work again: what a task left behind would be there 50,000 times more.
  expect(secondHeap - firstHeap).toBeLessThan(2 * mb);
});

it('does not fill a thread with copies of a function that is put again and again', { timeout: 120_000 }, async () => {
  const { code, lines } = await runProgram('thread-heap.mjs', { nodeArgs: ['--expose-gc'] });
  expect(code).toBe(0);
  expect(Number(lines[0])).toBeLessThan(4 * mb);
});

it('keeps no more than a few kilobytes for a cron schedule', async () => {
  const { code, lines } = await runProgram('schedule-heap.mjs', { nodeArgs: ['--expose-gc'], args: ['1000'] });
  expect(code).toBe(0);
  expect(Number(lines[0])).toBeLessThan(8 * 1024);
});

it('does not keep a supervisor that has stopped', async () => {
  const { code, lines } = await runProgram('forgets-supervisors.mjs', { nodeArgs: ['--expose-gc'] });
  expect({ code, lines }).toEqual({ code: 0, lines: ['forgotten'] });
});
