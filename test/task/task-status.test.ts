/** The table of what a task can become. */
import { expect, it } from 'vitest';
import { canBecome, type TaskStatus } from '../../src/task/record/task-status.ts';

const all: readonly TaskStatus[] = ['delayed', 'queued', 'started', 'completed', 'failed', 'canceled'];

it.each<[TaskStatus, readonly TaskStatus[]]>([
  ['delayed', ['queued', 'failed', 'canceled']],
  ['queued', ['started', 'failed', 'canceled']],
  ['started', ['delayed', 'queued', 'completed', 'failed', 'canceled']],
  ['completed', []],
  ['failed', []],
  ['canceled', []],
])('what is %s can become %j, and nothing else', (from, to) => {
  expect(all.filter((status) => canBecome(from, status))).toEqual(to);
});
