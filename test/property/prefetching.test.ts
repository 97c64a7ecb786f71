/**
 * Prefetching, with hosts that do only what the test says: a host begins what it has by itself, at any moment, and this side
 * hears of it later. None starts too early for that, and none twice.
 */
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { Batcher } from '../../src/dispatch/batcher.ts';
import type { Bulks } from '../../src/dispatch/bulk/bulks.ts';
import { PriorityChanges } from '../../src/dispatch/changes/priority-changes.ts';
import type { LaneRegistry, LaneWithPool } from '../../src/dispatch/lane-registry.ts';
import { Slots } from '../../src/dispatch/slots.ts';
import { TaskTree } from '../../src/dispatch/task-tree.ts';
import type { HostListener } from '../../src/lanes/hosts/host.ts';
import { HostLane } from '../../src/lanes/hosts/host-lane.ts';
import type { Lane, LaneListener, LaneOutcome } from '../../src/lanes/lane.ts';
import { Capacity } from '../../src/queue/capacity.ts';
import { FreeCapacity } from '../../src/queue/free-capacity.ts';
import type { HostSupply } from '../../src/queue/host-ceiling.ts';
import type { PoolLimits } from '../../src/queue/priority.ts';
import { type Priority, priorities } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import type { TaskTable } from '../../src/task/record/task-table.ts';
import type { TaskType } from '../../src/task/record/task-type.ts';
import { randomRuns } from '../fixtures/random-runs.ts';
import { noOwner } from '../task/no-owner.ts';
import { SlowChild } from './slow-child.ts';
import { type HostActs, type SlowHostLike, SlowThread } from './slow-host.ts';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../src/platform/clock.ts', async (original) => ({ ...(await original()), now: () => clock.now }));

const definition = defineBySource('f', () => {});

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      priority: fc.constantFrom<Priority>(...priorities, 'low', 'low', 'low', 'low', 'low', 'low'),
    }),
  },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('work' as const), host: fc.nat() }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('deliver' as const), host: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), host: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pause' as const),
      priority: fc.constantFrom(...priorities, 'low' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resume' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 20 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      which: fc.nat(),
      priority: fc.constantFrom(...priorities, 'low' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('resize' as const), poolSize: fc.integer({ min: 1, max: 3 }) }),
  },
);

const withdrawal = fc.record({ kind: fc.constant('withdraw' as const), which: fc.nat() });

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;
type Withdrawal = typeof withdrawal extends fc.Arbitrary<infer W> ? W : never;

function loadOf<A>(actions: fc.Arbitrary<A>): fc.Arbitrary<PoolLimits & { readonly actions: readonly A[] }> {
  return fc.record({
    poolSize: fc.integer({ min: 1, max: 3 }),
    reserveNormal: fc.integer({ min: 0, max: 1 }),
    reserveHigh: fc.integer({ min: 0, max: 1 }),
    actions: fc.array(actions, { minLength: 60, maxLength: 250, size: 'max' }),
  });
}

/** Tells of each task that is given a slot. */
class WatchedPool extends PriorityPool<Task> {
  readonly #onStart: (task: Task) => void;
  readonly #onPutBack: (task: Task) => void;

  constructor(limits: PoolLimits, hosts: HostSupply, onStart: (task: Task) => void, onPutBack: (task: Task) => void) {
    super(limits, 0, hosts);
    this.#onStart = onStart;
    this.#onPutBack = onPutBack;
  }

  override start(task: Task): Task {
    this.#onStart(task);
    return super.start(task);
  }

  override putBack(task: Task): void {
    super.putBack(task);
    this.#onPutBack(task);
  }
}

type NewHost = (listener: HostListener, acts: HostActs) => SlowHostLike;

class Scene implements LaneListener<Task>, Disposable {
  readonly hosts: SlowHostLike[] = [];
  readonly problems: string[] = [];
  readonly tasks = new Map<number, Task>();
  readonly slots: Slots;
  /** How often a task was begun by a host while it was prefetched. */
  prefetched = 0;
  /** How many younger ones of its priority have started before a task, at most. */
  mostOvertaken = 0;
  readonly #waiting = new Set<Task>();
  /** Those that wait as far as this side knows: a host may have begun them. */
  readonly #queued = new Set<Task>();
  readonly #ended = new Set<Task>();
  readonly #killed = new Set<Task>();
  readonly #withdrawn = new Set<Task>();
  readonly #paused = new Set<Priority>();
  readonly #changes: PriorityChanges;
  #sequence = 0;
  readonly #begun = new Map<Task, number>();
  /** For each task that waits, how many younger ones of its priority have started. */
  readonly #overtaken = new Map<Task, number>();
  readonly #batcher = new Batcher();
  readonly #place: LaneWithPool & { readonly lane: HostLane<Task> };
  #limits: PoolLimits;
  /** How many run, as the hosts know. */
  #running = 0;

  constructor(newHost: NewHost, limits: PoolLimits) {
    this.#limits = limits;
    const none = () => {};
    const settings = { minSize: 0, maxSize: 20, idleTimeoutMs: Infinity };
    const lane = new HostLane<Task>('thread', settings, {
      watcher: {
        broken: none,
        loadsLong: none,
        teardownFailed: none,
        preloadFailed: none,
        hostStarted: none,
        hostExited: none,
      },
      startHost: (_, listener) => {
        const host = newHost(listener, {
          began: (sequence, isEnding) => this.#onHostBegan(this.tasks.get(sequence) as Task, isEnding),
          ended: () => {
            this.#running -= 1;
          },
        });
        this.hosts.push(host);
        queueMicrotask(() => listener.up());
        return [host.slot];
      },
    });
    this.#place = {
      pool: new WatchedPool(
        limits,
        lane,
        (task) => this.#take(task),
        (task) => {
          this.#waiting.add(task);
          this.#queued.add(task);
        },
      ),
      lane,
    };
    lane.subscribe(this);
    const lanes = { of: () => this.#place, [Symbol.iterator]: () => [this.#place].values() };
    this.slots = new Slots({
      lanes: lanes as unknown as LaneRegistry,
      tree: new TaskTree(),
      batcher: this.#batcher,
      capacity: new Capacity(() => 0),
      freeCapacity: new FreeCapacity<TaskType>(() => this.#place.pool),
    });
    this.slots.subscribe({ hopeless: none });
    this.#changes = new PriorityChanges({
      lanes: lanes as unknown as LaneRegistry,
      table: { nextSequence: () => this.#nextSequence() } as TaskTable,
      slots: this.slots,
      bulks: {} as Bulks,
    });
  }

  put(priority: Priority): Task {
    const options = { type: 'thread', priority, stopGraceMs: 0 } as const;
    const task = new Task({ definition, options }, [], this.#nextSequence(), noOwner);
    this.tasks.set(task.sequence, task);
    this.#batcher.record(task, 1);
    this.#waiting.add(task);
    this.#queued.add(task);
    task.enqueue();
    this.#place.pool.put(task);
    this.slots.take(this.#place);
    return task;
  }

  #nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  cancel(task: Task): void {
    if (!this.#queued.has(task) || !this.slots.withdraw(task)) return;
    this.#queued.delete(task);
    this.#waiting.delete(task);
    this.#ended.add(task);
    task.settle('canceled', undefined);
    this.slots.wake();
  }

  /** Asks a task that runs to stop: nothing is to follow it in its host. */
  stop(task: Task): void {
    this.#place.lane.stop(task, 'enough', false);
  }

  /** Cancels a task that was handed over, if it has not begun. */
  withdraw(task: Task): void {
    if (this.#waiting.has(task) || this.#ended.has(task)) return;
    if (this.#place.lane.withdraw(task) !== false) this.#withdrawn.add(task);
  }

  kill(task: Task): void {
    this.#killed.add(task);
    this.#place.lane.kill(task);
  }

  pause(priority: Priority): void {
    this.#paused.add(priority);
    this.#place.pool.pause([...this.#paused]);
    this.slots.recall();
  }

  resume(): void {
    this.#paused.clear();
    this.#place.pool.pause([]);
    this.slots.takeAll();
  }

  /** Behind all that have this priority now. */
  changePriority(task: Task, priority: Priority): void {
    if (!this.#queued.has(task) || !this.#changes.change(task, priority)) return;
    this.#overtaken.delete(task);
  }

  resize(poolSize: number): void {
    this.#limits = { ...this.#limits, poolSize };
    this.#place.pool.configure(this.#limits);
    this.slots.wake();
  }

  [Symbol.dispose](): void {
    for (const host of this.hosts) host.die();
  }

  get isOver(): boolean {
    return this.#ended.size === this.tasks.size;
  }

  get begun(): readonly number[] {
    return [...this.#begun.values()];
  }

  /** It starts: it is given a slot, or that of another, or a host has begun it by itself. */
  #start(task: Task): void {
    if (!this.#waiting.delete(task)) return;
    this.mostOvertaken = Math.max(this.mostOvertaken, this.#overtaken.get(task) ?? 0);
    this.#overtaken.delete(task);
    if (this.#paused.has(task.priority)) this.problems.push(`${task.sequence} starts while it is paused`);
    const rank = ({ priority }: Task) => priorities.indexOf(priority);
    for (const other of this.#waiting) {
      if (this.#paused.has(other.priority)) continue;
      if (rank(other) < rank(task)) this.problems.push(`${task.sequence} starts while ${other.sequence} waits`);
      if (rank(other) !== rank(task) || !other.isBefore(task)) continue;
      this.#overtaken.set(other, (this.#overtaken.get(other) ?? 0) + 1);
    }
  }

  #take(task: Task): void {
    this.#queued.delete(task);
    this.#start(task);
  }

  #onHostBegan(task: Task, isEnding: boolean): void {
    if (isEnding && !this.#killed.has(task)) this.problems.push(`${task.sequence} begins in a host that was killed`);
    if (this.#waiting.has(task)) {
      this.prefetched += 1;
      if (this.#running >= this.#place.pool.limit(task.priority)) this.problems.push(`${task.sequence} has no slot`);
    }
    this.#running += 1;
    this.#start(task);
    if (this.#ended.has(task)) this.problems.push(`${task.sequence} begins after its end`);
    this.#begun.set(task, (this.#begun.get(task) ?? 0) + 1);
  }

  // What the lane reports.

  started(task: Task, hostId: number | undefined): void {
    task.start(hostId);
  }

  ended(task: Task, outcome: LaneOutcome): void {
    if (this.#ended.has(task)) this.problems.push(`${task.sequence} ends twice`);
    if (outcome.kind !== 'result' && outcome.kind !== 'died' && !this.#withdrawn.has(task)) {
      this.problems.push(`${task.sequence}: ${outcome.kind}`);
    }
    this.#ended.add(task);
    this.slots.free(task);
    task.settle('completed', undefined);
    // Whoever hears of an end may end others.
    const [oldest] = this.#queued;
    if (task.sequence % 3 === 0 && oldest !== undefined) this.cancel(oldest);
  }

  returned(tasks: readonly Task[]): void {
    for (const task of tasks.toReversed()) {
      this.slots.free(task);
      if (this.#withdrawn.has(task)) {
        this.#ended.add(task);
        task.settle('canceled', undefined);
        continue;
      }
      task.putBack();
      this.#place.pool.putBack(task);
    }
    this.slots.wake();
  }

  slotTaken(): void {}

  slotReleased(_: Lane<Task>, wasLent: boolean): void {
    this.#place.pool.release(wasLent);
    this.slots.wake();
  }

  prefetchedBegan(task: Task): void {
    this.#take(task);
    this.slots.onPrefetchedBegan(task);
  }

  prefetchedReturned(task: Task): void {
    this.slots.onPrefetchedReturned(task);
  }

  idleHostExited(): void {
    this.slots.wake();
  }

  progress(): void {}
  message(): void {}

  /** How many run and hold slots, as this side knows. */
  get slotsInUse(): number {
    return this.#place.pool.running;
  }
}

const kinds: readonly (readonly [string, NewHost])[] = [
  ['threads', (...parts) => new SlowThread(...parts)],
  ['children', (...parts) => new SlowChild(...parts)],
];

const times = { interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false } as const;

/** Does what the actions say, and then all that is left. */
async function play(scene: Scene, actions: readonly (Action | Withdrawal)[]): Promise<void> {
  const pick = <T>(list: readonly T[], which: number) => list[which % Math.max(list.length, 1)];
  for (const each of actions) {
    const living = scene.hosts.filter(({ isDead }) => !isDead);
    if (each.kind === 'put') scene.put(each.priority);
    else if (each.kind === 'work') pick(living, each.host)?.work();
    else if (each.kind === 'deliver') pick(living, each.host)?.deliver();
    else if (each.kind === 'die') pick(living, each.host)?.die();
    else if (each.kind === 'pause') scene.pause(each.priority);
    else if (each.kind === 'resume') scene.resume();
    else if (each.kind === 'wait') clock.now += each.ms;
    else if (each.kind === 'resize') scene.resize(each.poolSize);
    else {
      const task = pick([...scene.tasks.values()], each.which);
      if (task !== undefined && each.kind === 'cancel') scene.cancel(task);
      if (task !== undefined && each.kind === 'change') scene.changePriority(task, each.priority);
      if (task !== undefined && each.kind === 'withdraw') scene.withdraw(task);
      if (task !== undefined && each.kind === 'stop') scene.stop(task);
      if (task !== undefined && each.kind === 'kill') scene.kill(task);
    }
    await turn();
  }
  scene.resume();
  await turn();
  for (let rounds = 0; rounds < 1_000 && !(scene.isOver && scene.slotsInUse === 0); rounds += 1) {
    for (const host of scene.hosts) {
      if (host.isDead) continue;
      host.work();
      host.deliver();
      await turn();
    }
  }
}

/** What holds whatever is done. Resolves with how many tasks were begun while they were prefetched. */
async function hold(newHost: NewHost, limits: PoolLimits, actions: readonly (Action | Withdrawal)[]): Promise<number> {
  using scene = new Scene(newHost, limits);
  await play(scene, actions);
  expect(scene.problems).toEqual([]);
  expect(scene.isOver).toBe(true);
  expect(scene.slotsInUse).toBe(0);
  expect(scene.begun.every((times) => times === 1)).toBe(true);
  expect(scene.mostOvertaken).toBeLessThan(Math.max(scene.hosts.length, 1));
  return scene.prefetched;
}

it.each(kinds)(
  'in %s a task starts once, after no younger one but one for each other host, never while a more urgent one waits, nor while it is paused',
  async (_, newHost) => {
    let prefetched = 0;
    await fc.assert(
      fc.asyncProperty(loadOf(action), async ({ actions, ...limits }) => {
        prefetched += await hold(newHost, limits, actions);
      }),
      { ...times, numRuns: randomRuns(1_500) },
    );
    expect(prefetched).toBeGreaterThan(0);
  },
  120_000,
);

it.each(kinds)(
  'in %s a task that was handed over can be taken back before it begins, whatever was sent there after it, and each ends once',
  async (_, newHost) => {
    const withWithdrawals = fc.oneof({ weight: 15, arbitrary: action }, { weight: 1, arbitrary: withdrawal });
    await fc.assert(
      fc.asyncProperty(loadOf(withWithdrawals), async ({ actions, ...limits }) => {
        await hold(newHost, limits, actions);
      }),
      { ...times, numRuns: randomRuns(1_500) },
    );
  },
  120_000,
);

/** Until all that was put off for later in this turn is done. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
