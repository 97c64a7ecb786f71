/** How a supervisor finds the child that a task in a thread or child process means. */
import { expect, it } from 'vitest';
import type { Backlog } from '../../src/dispatch/backlog.ts';
import { Batcher } from '../../src/dispatch/batcher.ts';
import { Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { LateTasks } from '../../src/dispatch/events/late-tasks.ts';
import type { TaskEvents } from '../../src/dispatch/events/task-events.ts';
import type { LaneRegistry } from '../../src/dispatch/lane-registry.ts';
import { TaskCounters } from '../../src/dispatch/task-counters.ts';
import { KeepAlive } from '../../src/platform/keep-alive.ts';
import { Capacity } from '../../src/queue/capacity.ts';
import { FreeCapacity } from '../../src/queue/free-capacity.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import type { TaskTable } from '../../src/task/record/task-table.ts';
import { noOwner } from '../task/no-owner.ts';

const spec = { definition: defineBySource('child', () => {}), options: resolveTaskOptions({}, 'it') };
const owner = { ...noOwner, assignId: ({ sequence }: Task) => `task ${sequence}` };
const none = () => {};

/** A dispatcher that finds tasks that way, and notes which tasks lend their slot. */
function dispatcherOf(findLive: (id: string) => Task | undefined, lent: Task[] = []): Dispatcher {
  const pool = new PriorityPool<Task>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
  const lane = { lend: (task: Task) => lent.push(task) > 0 };
  const lanes = {
    subscribe: none,
    of: () => ({ pool, lane }),
    [Symbol.iterator]: () => [{ pool, lane }].values(),
  } as unknown as LaneRegistry;
  return new Dispatcher({
    lanes,
    backlog: { delayed: new Set() } as unknown as Backlog,
    counters: new TaskCounters(new KeepAlive()),
    table: { findLive, keep: none } as unknown as TaskTable,
    events: { ended: none } as unknown as TaskEvents,
    late: {} as LateTasks,
    batcher: new Batcher(),
    capacity: new Capacity(() => 0),
    freeCapacity: new FreeCapacity(() => pool),
  });
}

it('finds each of many children by its id, and looks at no other', () => {
  const looks: string[] = [];
  const byId = new Map<string, Task>();
  class Child extends Task {
    override get id(): string {
      looks.push(super.id);
      return super.id;
    }
  }
  const lent: Task[] = [];
  const dispatcher = dispatcherOf((id) => byId.get(id), lent);
  const parent = new Task(spec, [], 0, owner);
  const children = Array.from({ length: 1_000 }, (_, n) => new Child(spec, [], n + 1, owner));
  for (const child of children) dispatcher.tree.addChild(parent, child, none);
  for (const [n, child] of children.entries()) byId.set(`task ${n + 1}`, child);
  for (const n of children.keys()) {
    dispatcher.message(parent, { topic: 'child-command', id: `task ${n + 1}`, command: { kind: 'await' } });
  }
  expect(children.every(({ isAwaited }) => isAwaited)).toBe(true);
  expect(lent).toEqual([parent]);
  expect(looks).toEqual([]);
});

it('knows no child of another parent', () => {
  const child = new Task(spec, [], 1, noOwner);
  const dispatcher = dispatcherOf(() => child);
  const parent = new Task(spec, [], 2, owner);
  const stranger = new Task(spec, [], 3, owner);
  dispatcher.tree.addChild(parent, child, none);
  const command = { topic: 'child-command', id: 'child', command: { kind: 'cancel', reason: 'it' } } as const;
  dispatcher.message(stranger, command);
  expect(child.isSettled).toBe(false);
  dispatcher.message(parent, command);
  expect(child.endReason).toBe('canceled');
  expect(child.error).toMatchObject({ cause: 'it' });
});
