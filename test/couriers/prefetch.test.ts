/**
 * Workers fetch from a shared courier only what their supervisor can start at once. Several supervisors beside one courier
 * stand for several machines.
 */
import {
  BackgroundQueueWorker,
  backgroundTask,
  ClassicWorker,
  type CourierTask,
  type FetchOptions,
  MemoryTaskCourier,
  type Priority,
  type QueueOptions,
  type ReturnOptions,
  type TaskModule,
  TaskSupervisor,
  type WaitOptions,
} from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Notes what it is asked for, and what comes back to it. */
class Noting extends MemoryTaskCourier {
  readonly asked: string[] = [];
  /** How many tasks were asked for with the return of results. */
  readonly askedNext: (number | undefined)[] = [];
  released = 0;

  override bulkWaitForTasks(queue: string, max: number, options?: WaitOptions & FetchOptions): Promise<CourierTask[]> {
    this.asked.push(`${max} ${options?.minPriority}`);
    return super.bulkWaitForTasks(queue, max, options);
  }

  override bulkReturnTaskResults(
    queue: string,
    results: readonly (readonly [CourierTask, unknown])[],
    options?: ReturnOptions,
  ): Promise<CourierTask[]> {
    this.askedNext.push(options?.next);
    return super.bulkReturnTaskResults(queue, results, options);
  }

  override releaseTask(queue: string, task: CourierTask): Promise<void> {
    this.released += 1;
    return super.releaseTask(queue, task);
  }
}

/** One machine: its items run on the event loop until they are let go. */
class Machine {
  readonly supervisor: TaskSupervisor;
  readonly running = new Map<unknown, () => void>();

  constructor(slots: { readonly poolSize: number; readonly reserveNormal?: number; readonly reserveHigh?: number }) {
    this.supervisor = new TaskSupervisor({ logger: false, loop: { reserveNormal: 0, reserveHigh: 0, ...slots } });
    machines.push(this);
  }

  readonly hold = (item: unknown): Promise<void> => new Promise((resolve) => this.running.set(item, resolve));

  worker(queue: QueueOptions, options: { priority?: Priority; module?: TaskModule } = {}): BackgroundQueueWorker {
    const worker = new BackgroundQueueWorker(this.hold, {
      name: queue.name ?? 'items',
      type: 'loop',
      supervisor: this.supervisor,
      queue,
      ...options,
    });
    worker.start();
    return worker;
  }

  get items(): unknown[] {
    return [...this.running.keys()];
  }

  get waiting(): number {
    return Object.values(this.supervisor.getInfo().loop.waiting).reduce((sum, each) => sum + each);
  }

  async letGo(item: unknown): Promise<void> {
    this.running.get(item)?.();
    this.running.delete(item);
    await settled();
  }
}

/** All that can happen by itself has happened. */
async function settled(): Promise<void> {
  for (let n = 0; n < 20; n += 1) await turn();
}

let machines: Machine[] = [];
let courier: Noting;

beforeEach(() => {
  machines = [];
  courier = new Noting();
});
afterEach(() => Promise.all(machines.map(({ supervisor }) => supervisor.stop({ wait: false }))));

const add = (item: unknown, priority: Priority = 'normal', queue = 'items') =>
  courier.addTaskToQueue(queue, item, { priority });

describe('a machine', () => {
  it('fetches only what its slots can start, whatever its concurrency', async () => {
    const machine = new Machine({ poolSize: 2 });
    machine.worker({ courier, concurrency: 10 });
    for (let n = 0; n < 5; n += 1) await add(n);
    await settled();
    expect(machine.items).toEqual([0, 1]);
    expect(machine.waiting).toBe(0);
    expect(await courier.getQueueInfo('items')).toMatchObject({ leased: 2, waiting: { normal: 3 } });
    await machine.letGo(0);
    expect(machine.items).toEqual([1, 2]);
  });

  it('keeps a slot for an item whose run has to wait for the next turn of the event loop', async () => {
    const machine = new Machine({ poolSize: 2 });
    machine.supervisor.on('task:queued', () => {
      const until = performance.now() + 10; // more than the runs of one turn may take
      while (performance.now() < until);
    });
    for (let n = 0; n < 4; n += 1) await add(n);
    machine.worker({ courier, concurrency: 10 });
    await settled();
    expect(machine.items).toEqual([0, 1]);
    expect(machine.waiting).toBe(0);
    expect((await courier.getQueueInfo('items')).leased).toBe(2);
  });

  it('fetches no more than its concurrency, whatever its slots', async () => {
    const machine = new Machine({ poolSize: 10 });
    machine.worker({ courier, concurrency: 2 });
    for (let n = 0; n < 5; n += 1) await add(n);
    await settled();
    expect(machine.items).toEqual([0, 1]);
  });

  it('whose free slots are all reserved for high fetches high and critical alone', async () => {
    const machine = new Machine({ poolSize: 1, reserveHigh: 1 });
    machine.worker({ courier, concurrency: 10 });
    await settled();
    await add('first');
    await add('second');
    await settled();
    expect(machine.items).toEqual(['first']);
    expect(courier.asked.at(-1)).toBe('1 high');
    await add('urgent', 'high');
    await settled();
    expect(machine.items).toEqual(['first', 'urgent']);
    await add('later', 'high');
    await settled();
    expect(machine.items).toEqual(['first', 'urgent']);
    expect(courier.asked.at(-1)).toMatch(/critical/);
    await add('alarm', 'critical');
    await settled();
    expect(machine.items).toEqual(['first', 'urgent', 'alarm']);
    expect(machine.waiting).toBe(0);
  });

  it('widens its wait as soon as a slot for lower priorities comes free', async () => {
    const machine = new Machine({ poolSize: 1, reserveHigh: 1 });
    machine.worker({ courier, concurrency: 10 });
    await add('first', 'low');
    await add('second', 'low');
    await settled();
    expect(machine.items).toEqual(['first']);
    await machine.letGo('first');
    expect(machine.items).toEqual(['second']);
  });

  it('narrows its wait when its slots are taken by others', async () => {
    const machine = new Machine({ poolSize: 1, reserveHigh: 1 });
    machine.worker({ courier, concurrency: 10 });
    await settled();
    const own = machine.supervisor.putTask(() => machine.hold('own'), { type: 'loop', name: 'own' });
    await settled();
    await add('item');
    await settled();
    expect(machine.items).toEqual(['own']);
    expect((await courier.getQueueInfo('items')).waiting.normal).toBe(1);
    await machine.letGo('own');
    await own;
    await settled();
    expect(machine.items).toEqual(['item']);
  });

  it('waits with nothing asked while the module of its worker is full', async () => {
    const machine = new Machine({ poolSize: 10 });
    const module = machine.supervisor.module('one', { maxWorkers: 1 });
    machine.worker({ courier, concurrency: 10 }, { module });
    await add('first');
    await settled();
    await add('second', 'critical');
    await settled();
    expect(machine.items).toEqual(['first']);
    module.maxWorkers = 2;
    await settled();
    expect(machine.items).toEqual(['first', 'second']);
    await add('third');
    await settled();
    await machine.letGo('first');
    expect(machine.items).toEqual(['second', 'third']);
  });

  it('can be stopped while it waits for a slot', async () => {
    const machine = new Machine({ poolSize: 10 });
    const module = machine.supervisor.module('one', { maxWorkers: 1 });
    void module.addTask(() => machine.hold('own'), { type: 'loop', name: 'own' });
    const worker = machine.worker({ courier }, { module });
    await settled();
    expect(courier.asked).toEqual([]);
    expect(await worker.stop()).toBe(true);
  });

  it('gets the next item with the return of a result, as long as there is one', async () => {
    const machine = new Machine({ poolSize: 1 });
    for (const item of ['a', 'b', 'c']) await add(item);
    machine.worker({ courier });
    await settled();
    const { length } = courier.asked;
    await machine.letGo('a');
    await machine.letGo('b');
    expect(machine.items).toEqual(['c']);
    expect(courier.asked).toHaveLength(length);
    expect(courier.askedNext).toEqual([1, 1]);
    expect(courier.released).toBe(0);
    await machine.letGo('c');
    expect(courier.asked).toHaveLength(length + 1); // waits for more
  });

  it('asks for no next item if only urgent ones could start, or if others wait for items', async () => {
    const machine = new Machine({ poolSize: 1, reserveHigh: 1 });
    machine.worker({ courier, concurrency: 3 });
    await add('first');
    await settled();
    await add('urgent', 'high');
    await settled();
    expect(machine.items).toEqual(['first', 'urgent']);
    await add('second');
    await machine.letGo('first');
    expect(machine.items).toEqual(['urgent']); // which has the slot of any priority
    await machine.letGo('urgent');
    expect(machine.items).toEqual(['second']);
    expect(courier.askedNext).toEqual([undefined, undefined]);
  });

  it('promises no slot twice to workers that fetch at the same moment', async () => {
    const machine = new Machine({ poolSize: 1 });
    for (const name of ['a', 'b', 'c']) machine.worker({ courier, name, concurrency: 2 });
    await settled();
    await Promise.all(['a', 'b', 'c'].map((name) => add(name, 'normal', name)));
    await settled();
    expect(machine.items).toHaveLength(1);
    expect(machine.waiting).toBe(0);
    expect(courier.released).toBeGreaterThan(0);
    for (let n = 0; n < 3; n += 1) await machine.letGo(machine.items[0]);
    expect(machine.items).toEqual([]);
    for (const name of ['a', 'b', 'c']) expect((await courier.getQueueInfo(name)).leased).toBe(0);
  });

  it('gives a batch one slot, and asks for no more batches than it has slots', async () => {
    const machine = new Machine({ poolSize: 2 });
    for (let n = 0; n < 10; n += 1) await add(n);
    machine.worker({ courier, batchSize: 3, concurrency: 5 });
    await settled();
    expect(machine.items).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(machine.waiting).toBe(0);
  });
});

describe('a machine with one thread', () => {
  /** The most that it has asked for at once, of any priority. */
  async function mostAsked(run: (item: unknown) => void, count: number): Promise<number> {
    const threads = { poolSize: 1, reserveNormal: 0, reserveHigh: 0 };
    const supervisor = new TaskSupervisor({ logger: false, threads });
    const worker = new BackgroundQueueWorker(run, { name: 'items', supervisor, queue: { courier, concurrency: 10 } });
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) ids.push(await add(n));
    worker.start();
    await Promise.all(ids.map((id) => courier.waitForTaskResult('items', id)));
    await supervisor.stop();
    const all = courier.asked.map((each) => each.split(' ') as [string, Priority]);
    return Math.max(...all.filter(([, minPriority]) => minPriority === 'low').map(([max]) => Number(max)));
  }

  it('fetches as many items that take next to nothing as go in one batch', async () => {
    expect(await mostAsked(() => {}, 500)).toBeGreaterThan(1);
  });

  it('fetches one item at a time of those that take longer', async () => {
    const run = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
    expect(await mostAsked(run, 5)).toBe(1);
  });
});

describe('several machines', () => {
  it('leave urgent work to the one that can start it at once', async () => {
    const [full, idle] = [new Machine({ poolSize: 1 }), new Machine({ poolSize: 1 })];
    full.worker({ courier, concurrency: 10 });
    await settled();
    await add('long');
    await settled();
    idle.worker({ courier, concurrency: 10 });
    await settled();
    await add('urgent', 'high');
    await settled();
    expect(full.items).toEqual(['long']);
    expect(idle.items).toEqual(['urgent']);
  });

  it('hold no item while another has room for it', async () => {
    const all = [1, 2, 3].map((poolSize) => new Machine({ poolSize, reserveNormal: 1, reserveHigh: 1 }));
    for (const machine of all) machine.worker({ courier, concurrency: 20 });
    for (let n = 0; n < 20; n += 1) await add(n, 'low');
    await settled();
    expect(all.map(({ items }) => items.length)).toEqual([1, 2, 3]);
    for (let n = 0; n < 20; n += 1) await add(`normal ${n}`, 'normal');
    await settled();
    expect(all.map(({ items }) => items.length)).toEqual([2, 3, 4]);
    expect(all.map(({ waiting }) => waiting)).toEqual([0, 0, 0]);
  });
});

describe('the priority of a run', () => {
  const seen = (machine: Machine) =>
    machine.supervisor.getTasks().map(({ id, priority }) => [id, priority] as [string, Priority]);

  it('is that of its item, whatever that of the worker', async () => {
    const machine = new Machine({ poolSize: 5 });
    machine.worker({ courier, concurrency: 5 }, { priority: 'low' });
    const ids = [await add(1, 'high'), await add(2)];
    await settled();
    expect(seen(machine)).toEqual([
      [ids[0], 'high'],
      [ids[1], 'normal'],
    ]);
  });

  it('is the highest of its batch', async () => {
    const machine = new Machine({ poolSize: 5 });
    await add(1, 'low');
    await add(2, 'high');
    machine.worker({ courier, batchSize: 5 });
    await settled();
    expect(seen(machine).map(([, priority]) => priority)).toEqual(['high']);
  });

  it.each([true, false])(
    'is that of the worker, for what was put without one (a queue of its own: %s)',
    async (own) => {
      const machine = new Machine({ poolSize: 5 });
      const worker = machine.worker({ ...(!own && { courier }), concurrency: 2 }, { priority: 'low' });
      const ids = [await worker.put(1), await worker.put(2, { priority: 'critical' })];
      await settled();
      expect(new Map(seen(machine))).toEqual(
        new Map([
          [ids[0], 'low'],
          [ids[1], 'critical'],
        ]),
      );
    },
  );
});

describe('a ClassicWorker', () => {
  const call = (name: string, priority: Priority, item: string) =>
    courier.addTaskToQueue('calls', { function: name, args: [item] }, { priority });

  it('fetches only what its supervisor can start, with the priority that it has in the queue', async () => {
    const machine = new Machine({ poolSize: 1, reserveHigh: 1 });
    const hold = backgroundTask(machine.hold, { name: 'hold', type: 'loop', priority: 'low' });
    const { supervisor } = machine;
    const functions = { hold };
    const options = { courier, supervisor, functions, queueName: 'calls', maxSimultaneousTasks: 10 };
    const worker = new ClassicWorker({ ...options, maxTasksPerIteration: 5 });
    const performed = worker.perform();
    for (const item of ['a', 'b']) await call('hold', 'normal', item);
    await settled();
    expect(machine.items).toEqual(['a']);
    await call('hold', 'high', 'urgent');
    await settled();
    expect(machine.items).toEqual(['a', 'urgent']);
    expect(supervisor.getTasks().map(({ priority }) => priority)).toEqual(['normal', 'high']);
    expect((await courier.getQueueInfo('calls')).leased).toBe(2);
    expect(worker.inFlight).toBe(2);
    await machine.letGo('a');
    expect(machine.items).toEqual(['urgent']); // which has the slot of any priority
    await machine.letGo('urgent');
    expect(machine.items).toEqual(['b']);
    await machine.letGo('b');
    worker.stop();
    await performed;
  });

  it('waits until all lanes that its functions need have a slot', async () => {
    const machine = new Machine({ poolSize: 1 });
    const module = machine.supervisor.module('one', { maxWorkers: 1 });
    const functions = {
      free: backgroundTask(machine.hold, { name: 'free', type: 'loop' }),
      capped: backgroundTask(machine.hold, { name: 'capped', type: 'loop', module }),
    };
    machine.supervisor.configure({ loop: { poolSize: 5 } });
    const { supervisor } = machine;
    const worker = new ClassicWorker({ courier, supervisor, functions, queueName: 'calls', maxSimultaneousTasks: 5 });
    const performed = worker.perform();
    await call('capped', 'normal', 'a');
    await settled();
    await call('free', 'normal', 'b');
    await settled();
    expect(machine.items).toEqual(['a']);
    await machine.letGo('a');
    expect(machine.items).toEqual(['b']);
    await machine.letGo('b');
    worker.stop();
    await performed;
  });
});
