/**
 * Modules with limits by key under random load, with a clock that moves when told: never more than allowed, nobody who could
 * start waits, keys take turns, tasks of one key keep their order, and nothing is kept of keys that nobody uses.
 */
import assert from 'node:assert/strict'; // for what is looked at after each action: expect() takes longer than all the rest
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Bulkhead } from '../../src/queue/bulkhead.ts';
import type { RungGate } from '../../src/queue/keys/key-gate.ts';
import { KeyLimits } from '../../src/queue/keys/key-limits.ts';
import type { RateOptions } from '../../src/queue/keys/rate.ts';
import { type Priority, priorities } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import type { TaskCap } from '../../src/task/call/task-options.ts';
import { Task } from '../../src/task/record/task.ts';
import type { TaskType } from '../../src/task/record/task-type.ts';
import { noOwner } from '../task/no-owner.ts';
import { slotsOf } from './slots-of.ts';

const types = ['thread', 'loop'] as const satisfies readonly TaskType[];
const keys = ['a', 'b', 'c', undefined] as const;
type Key = (typeof keys)[number];

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      type: fc.constantFrom(...types, 'thread', 'thread'),
      priority: fc.constantFrom<Priority[]>('high', 'normal', 'normal', 'normal'),
      key: fc.constantFrom<Key[]>(...keys, 'a', 'a'),
      isLimited: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('giveBack' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 30 }) }) },
);

const load = fc.record({
  cap: fc.constantFrom(1, 2, 3, Infinity),
  maxPerKey: fc.constantFrom(1, 2, Infinity),
  fair: fc.boolean(),
  rate: fc.option(
    fc.record({
      max: fc.integer({ min: 1, max: 4 }),
      perMs: fc.constantFrom(10, 40),
      burst: fc.integer({ min: 1, max: 3 }),
      perKey: fc.boolean(),
    }),
    { nil: undefined },
  ),
  poolSize: fc.constantFrom(1, 2, 0),
  actions: fc.array(action, { minLength: 40, maxLength: 150, size: 'max' }),
});

interface Start {
  readonly at: number;
  readonly task: Task;
}

/** Tells all that starts. */
class WatchedPool extends PriorityPool<Task> {
  onStart: (task: Task) => void = () => {};

  override start(task: Task): Task {
    this.onStart(task);
    return super.start(task);
  }
}

function harness(limits: {
  readonly cap: number;
  readonly maxPerKey: number;
  readonly fair: boolean;
  readonly rate: RateOptions | undefined;
  readonly poolSize: number;
}) {
  const { cap, maxPerKey, fair, rate, poolSize } = limits;
  let time = 1_000;
  const alarms = new Map<RungGate<Task>, number>();
  const bulkhead = new Bulkhead<Task>(cap);
  const keyLimits = new KeyLimits<Task>(
    { maxPerKey, fair, rate },
    { set: (gate, at) => alarms.set(gate, at) },
    () => time,
  );
  bulkhead.limits = keyLimits;
  const module = { name: 'limited', bulkhead } as unknown as TaskCap;
  const running = new Set<Task>();
  const waiting = new Set<Task>();
  const starts: Start[] = [];
  const byType = Object.fromEntries(
    types.map((type) => {
      const pool = new WatchedPool({ poolSize, reserveNormal: 0, reserveHigh: 1 });
      pool.onStart = (task) => {
        starts.push({ at: time, task });
        waiting.delete(task);
        running.add(task);
      };
      return [type, { pool, lane: { run: () => {}, roomFor: () => 1 } }];
    }),
  );
  const places = Object.values(byType);
  const { lanes, slots } = slotsOf(byType);
  let sequence = 0;
  const poolOf = ({ type }: Task) => lanes.of(type).pool;
  const takeAll = () => {
    for (const place of places) slots.take(place as unknown as Parameters<typeof slots.take>[0]);
  };
  const free = (task: Task) => {
    running.delete(task);
    poolOf(task).release();
    slots.free(task);
  };
  return {
    running,
    waiting,
    starts,
    keyLimits,
    bulkhead,
    pools: places.map(({ pool }) => pool),
    alarms,
    takeAll,
    put(type: TaskType, priority: Priority, key: Key, isLimited: boolean) {
      sequence += 1;
      const options = { type, priority, stopGraceMs: 0, ...(isLimited && { module }) };
      const task = new Task({ definition: { index: 1, name: 'task' }, options }, [], sequence, noOwner);
      if (key !== undefined) task.key = key;
      waiting.add(task);
      task.enqueue();
      poolOf(task).put(task);
      slots.take(lanes.of(type));
    },
    end(task: Task) {
      free(task);
      slots.reopen(task.bulkhead);
      takeAll();
    },
    giveBack(task: Task) {
      free(task);
      waiting.add(task);
      poolOf(task).putBack(task);
      slots.reopen(task.bulkhead);
      takeAll();
    },
    cancel(task: Task) {
      poolOf(task).remove(task);
      waiting.delete(task);
      slots.reopen(task.bulkhead);
      takeAll();
    },
    pass(ms: number) {
      const until = time + ms;
      for (;;) {
        const [next] = [...alarms].sort(([, a], [, b]) => a - b);
        if (next === undefined || next[1] > until) break;
        time = Math.max(next[1], time);
        const due = [...alarms].filter(([, at]) => at <= time).map(([gate]) => gate);
        for (const gate of due) alarms.delete(gate);
        for (const gate of due) gate.onRung();
        slots.reopenGates(due);
        takeAll();
      }
      time = until;
    },
  };
}

type Harness = ReturnType<typeof harness>;

/** Who waits, could start, and has nobody before it that waits and could. */
function idler({ pools }: Harness): Task | undefined {
  for (const pool of pools) {
    for (const priority of priorities) {
      const next = [...pool].find((task) => task.priority === priority && task.bulkhead?.blocking(task) === undefined);
      if (next === undefined) continue;
      if (pool.running < pool.limit(priority)) return next;
      break;
    }
  }
  return undefined;
}

function checkLimits({ running }: Harness, cap: number, maxPerKey: number): void {
  const limited = [...running].filter(({ bulkhead }) => bulkhead !== undefined);
  assert.ok(limited.length <= cap, `${limited.length} run, and not ${cap}`);
  for (const key of keys) {
    if (key === undefined) continue;
    const ofKey = limited.filter((task) => task.key === key).length;
    assert.ok(ofKey <= maxPerKey, `${ofKey} of ${key} run, and not ${maxPerKey}`);
  }
}

function checkRate(starts: readonly Start[], rate: RateOptions): void {
  const limited = starts.filter(({ task }) => task.bulkhead !== undefined && !(rate.perKey && task.key === undefined));
  const groups = rate.perKey ? keys.map((key) => limited.filter(({ task }) => task.key === key)) : [limited];
  for (const group of groups) {
    for (const { at } of group) {
      const inWindow = group.filter((other) => other.at >= at && other.at < at + rate.perMs - 1e-6);
      assert.ok(inWindow.length <= rate.max + (rate.burst ?? 1) - 1, `${inWindow.length} start from ${at} on`);
    }
  }
}

it('never let more start than allowed, and nobody wait who could start', () => {
  fc.assert(
    fc.property(load, ({ cap, maxPerKey, fair, rate, poolSize, actions }) => {
      const limited = harness({ cap, maxPerKey, fair, rate, poolSize });
      const { running, waiting } = limited;
      const pick = (tasks: ReadonlySet<Task>, which: number) => [...tasks][which % tasks.size] as Task;
      for (const each of actions) {
        if (each.kind === 'put') limited.put(each.type, each.priority, each.key, each.isLimited);
        else if (each.kind === 'pass') limited.pass(each.ms);
        else if (each.kind === 'cancel') waiting.size > 0 && limited.cancel(pick(waiting, each.which));
        else if (running.size > 0) limited[each.kind](pick(running, each.which));
        checkLimits(limited, cap, maxPerKey);
        assert.equal(idler(limited), undefined);
      }
      if (rate !== undefined) checkRate(limited.starts, rate);
      for (let turns = 0; waiting.size + running.size > 0; turns += 1) {
        assert.ok(turns < 2_000);
        for (const task of [...running]) limited.end(task);
        limited.pass(20);
      }
      if (rate !== undefined) checkRate(limited.starts, rate);
      limited.pass(1_000);
      expect([limited.keyLimits.size, limited.bulkhead.waiting, limited.alarms.size]).toEqual([0, 0, 0]);
    }),
    { numRuns: 150 },
  );
});

it('keep the order of each key, and of all where nothing holds them back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom<Key[]>(...keys), { maxLength: 60 }),
      fc.constantFrom(1, 2, Infinity),
      fc.boolean(),
      (order, maxPerKey, fair) => {
        const limited = harness({ cap: Infinity, maxPerKey, fair, rate: undefined, poolSize: 1 });
        for (const key of order) limited.put('thread', 'normal', key, true);
        while (limited.running.size > 0) for (const task of [...limited.running]) limited.end(task);
        for (const key of keys) {
          const numbers = limited.starts.filter(({ task }) => task.key === key).map(({ task }) => task.sequence);
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
        const all = limited.starts.map(({ task }) => task.sequence);
        if (!fair) expect(all).toEqual(all.toSorted((a, b) => a - b)); // one slot, so no key ever has more than one
      },
    ),
  );
});

it('let keys take turns: between two tasks of one key, each other key that waits has one', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          {
            weight: 3,
            arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.constantFrom<Key[]>(...keys, 'a') }),
          },
          { weight: 1, arbitrary: fc.record({ kind: fc.constant('other' as const) }) },
          { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const) }) },
          { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
        ),
        { maxLength: 100, size: 'max' },
      ),
      fc.constantFrom(1, Infinity),
      (actions, cap) => {
        const limited = harness({ cap, maxPerKey: Infinity, fair: true, rate: undefined, poolSize: 1 });
        const { running, waiting, starts } = limited;
        /** Of each key, the keys that have waited since its last start, and had no turn since. */
        const owed = new Map<Key, Set<Key>>();
        let seen = 0;
        const keysThatWait = () =>
          new Set([...waiting].filter(({ bulkhead }) => bulkhead).map(({ key }) => key as Key));
        const check = () => {
          for (const { task } of starts.slice(seen)) {
            if (task.bulkhead === undefined) continue;
            const key = task.key as Key;
            expect([...(owed.get(key) ?? [])].filter((other) => keysThatWait().has(other) && other !== key)).toEqual(
              [],
            );
            for (const others of owed.values()) others.delete(key);
            owed.set(key, keysThatWait());
          }
          seen = starts.length;
          for (const others of owed.values()) {
            for (const other of others) if (!keysThatWait().has(other)) others.delete(other);
          }
        };
        const end = () => {
          const [task] = running;
          if (task !== undefined) limited.end(task);
        };
        for (const each of actions) {
          if (each.kind === 'put') limited.put('thread', 'normal', each.key, true);
          else if (each.kind === 'other') limited.put('thread', 'normal', undefined, false);
          else if (each.kind === 'end') end();
          else if (waiting.size > 0) limited.cancel([...waiting][each.which % waiting.size] as Task);
          check();
        }
        while (running.size > 0) {
          end();
          check();
        }
        expect(waiting.size).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
});
