/**
 * The ceiling of hosts under random trees of calls, without threads: tasks of two pools and modules with caps call each
 * other and wait. What is held never exceeds the ceiling, all have ended in the end, and order is kept.
 */
import assert from 'node:assert/strict'; // for what is looked at after each step: expect() takes longer than all the rest
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Batcher } from '../../src/dispatch/batcher.ts';
import type { LaneRegistry } from '../../src/dispatch/lane-registry.ts';
import { Slots } from '../../src/dispatch/slots.ts';
import { TaskTree } from '../../src/dispatch/task-tree.ts';
import { Bulkhead } from '../../src/queue/bulkhead.ts';
import { Capacity } from '../../src/queue/capacity.ts';
import { FreeCapacity } from '../../src/queue/free-capacity.ts';
import { type Priority, priorities } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import type { TaskCap } from '../../src/task/call/task-options.ts';
import { Task } from '../../src/task/record/task.ts';
import type { TaskType } from '../../src/task/record/task-type.ts';
import { noOwner } from '../task/no-owner.ts';

const types = ['thread', 'process', 'loop'] as const satisfies readonly TaskType[];

interface Tree {
  readonly type: TaskType;
  readonly priority: Priority;
  /** It is in the module. */
  readonly isCapped: boolean;
  readonly waits: 'together' | 'in turn' | 'never';
  readonly children: readonly Tree[];
}

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    type: fc.constantFrom('thread', 'thread', 'process', 'loop'),
    priority: fc.constantFrom(...priorities),
    isCapped: fc.boolean(),
    waits: fc.constantFrom('together', 'together', 'in turn', 'never'),
    children: fc.oneof(
      { depthSize: 'large', withCrossShrink: true },
      fc.constant([]),
      fc.array(tie('tree'), { minLength: 1, maxLength: 3, depthIdentifier: 'tree' }),
    ),
  }),
}));

const load = fc.record({
  trees: fc.array(tree, { minLength: 1, maxLength: 8, size: 'max' }),
  /** Which of those that run goes on. */
  picks: fc.infiniteStream(fc.nat(1_000)),
  poolSize: fc.integer({ min: 0, max: 2 }),
  maxSize: fc.integer({ min: 1, max: 3 }),
  shrinksTo: fc.integer({ min: 1, max: 3 }),
});

const maxDepth = 12;

interface Run {
  readonly task: Task;
  /** Those that it has not called. */
  readonly left: Tree[];
  readonly open: Set<Task>;
  isLent: boolean;
}

/** Runs all trees, and gives how many tasks have ended and how many of those could never start. */
async function play(given: {
  readonly trees: readonly Tree[];
  readonly picks: Iterator<number>;
  readonly poolSize: number;
  readonly maxSize: number;
  readonly shrinksTo: number;
  readonly isCapped: boolean;
}): Promise<{ readonly ended: number; readonly hopeless: number }> {
  const { trees, picks, poolSize, maxSize, shrinksTo } = given;
  const limits = { poolSize, reserveNormal: 1, reserveHigh: 0 };
  const module = { name: 'module', maxWorkers: 1, bulkhead: new Bulkhead<Task>(1) } as unknown as TaskCap;
  const runs = new Map<Task, Run>();
  const plans = new Map<Task, Tree>();
  let ended = 0;
  let hopeless = 0;
  let sequence = 0;
  const run = (tasks: readonly Task[]) => {
    for (const task of tasks) {
      runs.set(task, { task, left: [...(plans.get(task) as Tree).children], open: new Set(), isLent: false });
    }
  };
  const lend = (task: Task) => {
    (runs.get(task) as Run).isLent = true;
    return true;
  };
  const resume = (task: Task) => {
    (runs.get(task) as Run).isLent = false;
    return true;
  };
  const byType = Object.fromEntries(
    types.map((type) => {
      const bounds = type === 'loop' ? limits : { ...limits, maxSize, maxDepth };
      return [type, { pool: new PriorityPool<Task>(bounds), lane: { run, roomFor: () => 1, lend, resume } }];
    }),
  );
  const lanes = {
    of: (type: TaskType) => byType[type],
    [Symbol.iterator]: () => Object.values(byType).values(),
  } as unknown as LaneRegistry;
  const poolOf = ({ type }: Task) => lanes.of(type).pool;
  const calls = new TaskTree();
  const slots = new Slots({
    lanes,
    tree: calls,
    batcher: new Batcher(),
    capacity: new Capacity(() => 0),
    freeCapacity: new FreeCapacity<TaskType>((type) => lanes.of(type).pool),
  });
  slots.subscribe({
    hopeless: (task) => {
      hopeless += 1;
      slots.withdraw(task);
      end(task);
    },
  });
  const owner = { ...noOwner, lenderOf: (task: Task) => calls.lenderOf(task) };
  const submit = (plan: Tree, parent?: Run) => {
    sequence += 1;
    const cap = plan.isCapped && given.isCapped ? { module } : {};
    const options = { type: plan.type, priority: plan.priority, stopGraceMs: 0, ...cap };
    const task = new Task({ definition: { index: 1, name: 'task' }, options }, [], sequence, owner);
    plans.set(task, plan);
    if (parent !== undefined) calls.addChild(parent.task, task, () => {});
    task.enqueue();
    if (parent === undefined) poolOf(task).put(task);
    else poolOf(task).enqueueFirst(task, calls.olderSibling(task));
    slots.take(lanes.of(task.type));
    if (parent === undefined || plans.get(parent.task)?.waits === 'never') return;
    parent.open.add(task);
    slots.lendTo(task, parent.task);
  };
  const end = (task: Task) => {
    ended += 1;
    slots.free(task);
    slots.reopen(task.bulkhead);
    task.settle('failed', undefined);
    calls.removeChildren(task);
    for (const run of runs.values()) run.open.delete(task);
    slots.endLoan(task);
    calls.removeChild(task, { kind: 'ended', endReason: 'failed', outcome: undefined });
  };
  const goOn = (run: Run) => {
    const { waits } = plans.get(run.task) as Tree;
    if (run.left.length > 0) {
      const called = run.left.splice(0, waits === 'in turn' ? 1 : run.left.length);
      for (const plan of called) submit(plan, run);
      return;
    }
    runs.delete(run.task);
    poolOf(run.task).release(run.isLent);
    end(run.task);
    slots.wake();
  };
  for (const plan of trees) submit(plan);
  for (let step = 0; ; step += 1) {
    await Promise.resolve();
    await Promise.resolve();
    for (const type of ['thread', 'process'] as const) {
      const { pool } = lanes.of(type);
      const held = [...runs.keys(), ...slots].filter((task) => task.type === type);
      assert.equal(pool.held, held.length);
      const heldUpTo = (most: number) => held.filter(({ depth }) => depth <= most).length;
      assert.ok(held.length <= maxSize + maxDepth, `${held.length} are held`);
      assert.ok(heldUpTo(0) <= maxSize, `${heldUpTo(0)} are held by calls of no task`);
      if (!given.isCapped) {
        for (const { depth } of held) {
          assert.ok(heldUpTo(depth) <= maxSize + depth, `${heldUpTo(depth)} are held up to the depth ${depth}`);
        }
      }
    }
    if (step === 20) {
      for (const { pool } of [lanes.of('thread'), lanes.of('process')]) {
        pool.configure({ ...limits, maxSize: Math.min(shrinksTo, maxSize), maxDepth });
      }
      slots.wake();
    }
    const able = [...runs.values()].filter(({ open }) => open.size === 0);
    if (able.length === 0) break;
    goOn(able[picks.next().value % able.length] as Run);
  }
  expect([...lanes].map(({ pool }) => [pool.held, pool.waiting])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  return { ended, hopeless };
}

const countOf = (trees: readonly Tree[]): number => trees.reduce((sum, { children }) => sum + 1 + countOf(children), 0);

const depthOf = ({ children }: Tree): number => Math.max(0, ...children.map((child) => 1 + depthOf(child)));

it('never holds more than the ceiling, and never locks up', async () => {
  await fc.assert(
    fc.asyncProperty(load, async (given) => {
      fc.pre(given.trees.every((each) => depthOf(each) <= maxDepth));
      const { ended, hopeless } = await play({ ...given, isCapped: false });
      expect([ended, hopeless]).toEqual([countOf(given.trees), 0]);
    }),
    { numRuns: 150 },
  );
}, 60_000);

it('neither does it where modules hold tasks back', async () => {
  await fc.assert(
    fc.asyncProperty(load, async (given) => {
      fc.pre(given.trees.every((each) => depthOf(each) <= maxDepth));
      const { ended, hopeless } = await play({ ...given, isCapped: true });
      if (hopeless === 0) expect(ended).toBe(countOf(given.trees)); // what could not start has called none
    }),
    { numRuns: 150 },
  );
}, 60_000);
