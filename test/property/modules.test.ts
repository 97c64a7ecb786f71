/**
 * Modules under random load, without threads: caps hold over all pools, order is kept inside each, nobody who could start
 * waits, and every place comes back.
 */
import assert from 'node:assert/strict'; // for what is looked at after each action: expect() takes longer than all the rest
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Bulkhead } from '../../src/queue/bulkhead.ts';
import type { PoolLimits } from '../../src/queue/priority.ts';
import { priorities } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import type { TaskCap } from '../../src/task/call/task-options.ts';
import { Task } from '../../src/task/record/task.ts';
import type { TaskType } from '../../src/task/record/task-type.ts';
import { noOwner } from '../task/no-owner.ts';
import { slotsOf } from './slots-of.ts';

const types = ['thread', 'process', 'loop'] as const satisfies readonly TaskType[];

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      // Many of few kinds: what goes wrong does so between tasks of one module, pool and priority.
      type: fc.constantFrom(...types, 'thread', 'thread', 'thread'),
      priority: fc.constantFrom(...priorities, 'normal', 'normal', 'normal', 'normal'),
      module: fc.constantFrom(0, 0, 0, 1, undefined),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('giveBack' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cap' as const),
      module: fc.nat({ max: 1 }),
      cap: fc.integer({ min: 0, max: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
);

const load = fc.record({
  caps: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  poolSize: fc.constantFrom(0, 1, 1, 2),
  reserveNormal: fc.integer({ min: 0, max: 1 }),
  reserveHigh: fc.integer({ min: 0, max: 1 }),
  actions: fc.array(action, { minLength: 60, maxLength: 200, size: 'max' }),
});

/** Notes a task that was taken before another of its priority that came first, and could have started. */
class WatchedPool extends PriorityPool<Task> {
  readonly problems: string[] = [];

  override start(taken: Task): Task {
    super.start(taken);
    for (const task of this) {
      if (task.priority !== taken.priority || !task.isBefore(taken)) continue;
      if (!task.bulkhead || task.bulkhead.mayEnter(task))
        this.problems.push(`${taken.sequence} before ${task.sequence}`);
    }
    return taken;
  }

  /** Who waits, and could start. */
  get idler(): Task | undefined {
    for (const priority of priorities) {
      const next = [...this].find((task) => task.priority === priority && task.bulkhead?.mayEnter(task) !== false);
      if (next !== undefined) return this.running < this.limit(priority) ? next : undefined;
    }
    return undefined;
  }
}

function harness(limits: PoolLimits, caps: readonly number[]) {
  const running = new Set<Task>();
  const waiting = new Set<Task>();
  const modules = caps.map((cap, index) => ({
    name: `module ${index}`,
    maxWorkers: cap,
    bulkhead: new Bulkhead<Task>(cap),
  }));
  const byType = Object.fromEntries(
    types.map((type) => {
      const run = (tasks: readonly Task[]) => {
        for (const task of tasks) {
          waiting.delete(task);
          running.add(task);
        }
      };
      return [type, { pool: new WatchedPool(limits), lane: { run, roomFor: () => 1, recall: () => {} } }];
    }),
  );
  const all = Object.values(byType);
  const { lanes, slots } = slotsOf(byType);
  let sequence = 0;
  const poolOf = ({ type }: Task) => lanes.of(type).pool;
  const free = (task: Task) => {
    running.delete(task);
    poolOf(task).release();
    slots.free(task);
  };
  return {
    running,
    waiting,
    modules,
    slots,
    pools: all.map(({ pool }) => pool),
    put(type: TaskType, priority: Task['priority'], module: number | undefined) {
      sequence += 1;
      const cap = module === undefined ? undefined : (modules[module] as unknown as TaskCap);
      const options = { type, priority, stopGraceMs: 0, ...(cap && { module: cap }) };
      const task = new Task({ definition: { index: 1, name: 'task' }, options }, [], sequence, noOwner);
      waiting.add(task);
      task.enqueue();
      poolOf(task).put(task);
      slots.take(lanes.of(task.type));
    },
    end(task: Task) {
      free(task);
      slots.reopen(task.bulkhead);
      slots.wake();
    },
    giveBack(task: Task) {
      free(task);
      waiting.add(task);
      poolOf(task).putBack(task);
      slots.reopen(task.bulkhead);
      slots.wake();
    },
    cancel(task: Task) {
      slots.withdraw(task);
      waiting.delete(task);
      slots.reopen(task.bulkhead);
      slots.wake();
    },
  };
}

it('holds every cap, keeps order, and lets nobody wait who could start', async () => {
  await fc.assert(
    fc.asyncProperty(load, async ({ caps, actions, ...limits }) => {
      const { running, waiting, modules, slots, pools, ...act } = harness(limits, caps);
      /** What ran when a cap was made smaller may stay. */
      const allowed = [...caps];
      const runningOf = (index: number) =>
        [...running, ...slots].filter((task) => task.bulkhead === modules[index]?.bulkhead).length;
      const pick = (tasks: ReadonlySet<Task>, which: number) => [...tasks][which % tasks.size];
      for (const each of actions) {
        if (each.kind === 'put') act.put(each.type, each.priority, each.module);
        else if (each.kind === 'cap') {
          const { bulkhead } = modules[each.module] as (typeof modules)[0];
          bulkhead.cap = each.cap;
          if (each.cap === 0) slots.recall();
          slots.reopen(bulkhead);
        } else if (each.kind === 'turn') await Promise.resolve();
        else {
          const task = pick(each.kind === 'cancel' ? waiting : running, each.which);
          if (task !== undefined) act[each.kind](task);
        }
        modules.forEach(({ bulkhead }, index) => {
          const count = runningOf(index);
          allowed[index] = Math.max(bulkhead.cap, Math.min(allowed[index] as number, count));
          assert.ok(count <= (allowed[index] as number), `${count} run, and not ${allowed[index]}`);
          assert.equal(bulkhead.running, count);
          let held = 0;
          for (const task of waiting) if (task.bulkhead === bulkhead && !task.hasSlot) held += 1;
          assert.equal(bulkhead.waiting, held);
        });
        if (each.kind !== 'turn') continue;
        for (const pool of pools) assert.equal(pool.idler, undefined);
      }
      for (const { bulkhead } of modules) {
        bulkhead.cap = Math.max(bulkhead.cap, 1);
        slots.reopen(bulkhead);
      }
      for (let turns = 0; running.size + waiting.size > 0; turns += 1) {
        expect(turns).toBeLessThan(1_000); // everybody has their turn
        await Promise.resolve();
        for (const task of [...running]) act.end(task);
      }
      for (const pool of pools) {
        expect(pool.problems).toEqual([]);
        expect([pool.running, pool.waiting]).toEqual([0, 0]);
      }
      for (const { bulkhead } of modules) expect([bulkhead.running, bulkhead.waiting]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});

it('keeps order when several places come at once, and a more urgent task takes one', async () => {
  const limits = { poolSize: 3, reserveNormal: 0, reserveHigh: 0 };
  const { running, modules, slots, pools, ...act } = harness(limits, [1, 1]);
  act.put('thread', 'normal', 0);
  for (let n = 0; n < 2; n += 1) act.put('thread', 'normal', undefined);
  await Promise.resolve();
  act.put('thread', 'normal', 0);
  act.put('thread', 'high', 0);
  act.put('thread', 'normal', undefined);
  for (const task of [...running]) if (task.bulkhead === undefined) act.end(task);
  const { bulkhead } = modules[0] as (typeof modules)[0];
  bulkhead.cap = 3;
  slots.reopen(bulkhead);
  await Promise.resolve();
  expect([...running].map(({ sequence }) => sequence)).toEqual([1, 5, 4]);
  for (const pool of pools) expect(pool.problems).toEqual([]);
});
