/**
 * Everything that uses a server, under load: tasks with known results by a BaseWorker and a queue worker, a schedule that two
 * machines share, and on Redis a list and a channel that feed controllers. What is not as promised is in `violations`.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import {
  BackgroundQueueWorker,
  BaseWorker,
  type Controller,
  type CourierTask,
  type CourierTaskContext,
  controller,
  currentTask,
  type TaskContext,
  TaskSupervisor,
} from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { redisBrpop, redisPubsub } from 'taskwarden/redis';

/** Longer than one trouble, so that leases get lost seldom, and get lost. */
const leaseMs = 4_000;
const queues = ['tasks', 'items'] as const;
const addMs = 20;
/** So that tasks are in flight when a trouble begins, and when it ends. */
const longMs = 1_000;
const tickMs = 200;
/** So many tasks, and items of the list, are not over at once: who adds waits for them. */
const mostOpen = 50;

interface Work {
  readonly n: number;
  readonly fails: boolean;
}

/** Of one run: two results of the same task can be told apart. */
interface Done {
  readonly n: number;
  readonly run: string;
}

export interface LoadOptions {
  readonly url: string;
  readonly prefix: string;
  /** Of a Redis, not troubled but by what troubles all: what the controllers get is put there. */
  readonly feeder?: Redis | undefined;
}

export class Load {
  readonly violations: string[] = [];
  /** How often the workers have told that the server is in trouble. */
  readonly told = { tasks: 0, items: 0 };
  readonly counts = { added: 0, refused: 0, settled: 0, again: 0, ticks: 0, items: 0, news: 0 };
  readonly #options: LoadOptions;
  readonly #couriers: BullMQTaskCourier[] = [];
  readonly #supervisors: TaskSupervisor[] = [];
  readonly #end = new AbortController();
  /** What is to end by itself when there is nothing more to do. */
  readonly #ends: Promise<unknown>[] = [];
  readonly #open = new Set<Promise<void>>();
  readonly #performed = new Map<string, number>();
  readonly #latest = { tasks: 0, items: 0, ticks: 0, list: 0, channel: 0 };
  /** Which workers have no task yet that stays in flight, and until when those of the others do. */
  #hold: { readonly wanted: Set<(typeof queues)[number]>; readonly until: Promise<void> } | undefined;
  #pushed = 0;
  #published = 0;
  #worker: Worker | undefined;
  #items: BackgroundQueueWorker | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  #connect(): BullMQTaskCourier {
    const { url, prefix } = this.#options;
    const courier = new BullMQTaskCourier(url, { prefix, leaseMs, maxStalls: 100 }); // one trouble follows the other
    this.#couriers.push(courier);
    return courier;
  }

  #supervise(name: string): TaskSupervisor {
    const supervisor = new TaskSupervisor({ name, logger: false });
    this.#supervisors.push(supervisor);
    return supervisor;
  }

  #violated(what: string): void {
    this.violations.push(what);
  }

  start(): void {
    this.#startWorkers();
    for (const name of ['one', 'two']) this.#startSchedule(name);
    const clients = [this.#connect(), this.#connect()] as const;
    this.#ends.push(this.#addTasks(...clients));
    if (this.#options.feeder !== undefined) this.#startControllers(this.#options.feeder);
  }

  #startWorkers(): void {
    const perform = (queue: (typeof queues)[number]) => async (work: Work, id: string, attempt: number) => {
      this.#notePerformed(`${queue} ${id}`, attempt);
      if (this.#hold?.wanted.delete(queue)) await this.#hold.until;
      else await pause(work.n % 9 === 0 ? longMs : 5 + (work.n % 20));
      if (work.fails) throw new Error(`no ${work.n}`);
      return { n: work.n, run: randomUUID() };
    };
    this.#worker = new Worker(this.#connect(), perform('tasks'), (error) => this.#note('tasks', error));
    this.#ends.push(this.#worker.perform());
    const performItem = perform('items');
    const items = new BackgroundQueueWorker(
      (work: Work) => {
        const { id, attempt } = currentTask();
        return performItem(work, id, attempt);
      },
      {
        name: 'items',
        type: 'loop',
        supervisor: this.#supervise('items'),
        queue: { courier: this.#connect(), concurrency: 5 },
        onError: (error) => this.#note('items', error),
      },
    );
    this.#items = items;
    items.start();
  }

  /** Resolves when each worker has a task in flight that is performed until the function that this gives is called. */
  async holdTasks(withinMs: number): Promise<() => void> {
    let letGo = () => {};
    const wanted = new Set(queues);
    this.#hold = {
      wanted,
      until: new Promise((resolve) => {
        letGo = resolve;
      }),
    };
    for (const until = Date.now() + withinMs; wanted.size > 0; await pause(5)) {
      if (Date.now() < until) continue;
      this.#violated(`no task was fetched within ${withinMs} ms from: ${[...wanted]}`);
      wanted.clear();
    }
    return letGo;
  }

  #note(queue: (typeof queues)[number], error: unknown): void {
    const { code, message } = error as { readonly code?: string; readonly message?: string };
    if (/^no \d+$/.test(message ?? '')) return; // a task that is to fail
    if (code === 'COURIER_UNREACHABLE') this.told[queue] += 1;
    else if (code !== 'LEASE_LOST') this.#violated(`the worker of ${queue} told ${error}`);
  }

  /** Each attempt is begun once: another one has another number. */
  #notePerformed(id: string, attempt: number): void {
    const before = this.#performed.get(id) ?? 0;
    if (attempt <= before) this.#violated(`attempt ${attempt} of ${id} was begun after attempt ${before}`);
    if (before > 0) this.counts.again += 1;
    this.#performed.set(id, attempt);
  }

  #startSchedule(name: string): void {
    this.#supervise(name).scheduleTask(
      () => {
        const { id, attempt } = currentTask();
        this.#notePerformed(id, attempt);
        this.counts.ticks += 1;
        this.#latest.ticks = Math.max(this.#latest.ticks, Number(id.split('@')[1]));
      },
      { name: 'tick', type: 'loop', recurring: true, delayMs: tickMs, courier: this.#connect() },
    );
  }

  async #addTasks(client: BullMQTaskCourier, other: BullMQTaskCourier): Promise<void> {
    for (let n = 1; !this.#end.signal.aborted; n += 1) {
      const queue = queues[n % 2] as (typeof queues)[number];
      const added = this.#addTask(queue, n, client, n % 3 === 0 ? other : client);
      this.#open.add(added);
      void added.finally(() => this.#open.delete(added));
      await pause(addMs);
      if (this.#open.size >= mostOpen) await Promise.race(this.#open);
    }
    await Promise.all(this.#open);
  }

  /** Some wait for a server that is away, some do not; some have ids of their own, and two who wait for the result. */
  async #addTask(
    queue: (typeof queues)[number],
    n: number,
    client: BullMQTaskCourier,
    other: BullMQTaskCourier,
  ): Promise<void> {
    const work: Work = { n, fails: n % 7 === 0 };
    const wait = n % 5 !== 0;
    let id: string;
    try {
      id = await client.addTaskToQueue(queue, work, { wait, ...(n % 4 === 0 && { id: `number-${n}` }) });
    } catch (error) {
      this.counts.refused += 1;
      if (wait || (error as { readonly code?: string }).code !== 'COURIER_UNREACHABLE')
        this.#violated(`adding ${n} failed: ${error}`);
      return;
    }
    this.counts.added += 1;
    const waits = [client, other].map((each) => each.waitForTaskResult<Done>(queue, id));
    const [first, second] = await Promise.allSettled(waits);
    const last = await this.#insist(() => client.getTaskResult<Done>(queue, id));
    for (const each of [first, second, last] as PromiseSettledResult<Done>[]) {
      const outcome = each.status === 'rejected' ? `${each.reason.message}` : each.value.n;
      const expected = work.fails ? `no ${n}` : n;
      if (outcome !== expected) this.#violated(`task ${n} settled with ${outcome}`);
      if (runOf(each) !== runOf(first as PromiseSettledResult<Done>)) this.#violated(`task ${n} has two results`);
    }
    this.counts.settled += 1;
    this.#latest[queue] = Math.max(this.#latest[queue], n);
  }

  async #insist<T>(call: () => Promise<T>): Promise<PromiseSettledResult<T>> {
    for (;;) {
      const [outcome] = await Promise.allSettled([call()]);
      if (outcome.status === 'fulfilled' || outcome.reason.code !== 'COURIER_UNREACHABLE') return outcome;
      await pause(100);
    }
  }

  #startControllers(feeder: Redis): void {
    const { url, prefix } = this.#options;
    const [list, channel] = [`${prefix}:list`, `${prefix}:channel`];
    const options = { connection: url, parse: Number, onError: () => {} };
    this.#take('list', redisBrpop(list, options));
    this.#take('channel', redisPubsub(channel, options));
    this.#ends.push(this.#push(feeder, list), this.#publish(feeder, channel));
  }

  /** Items come in order, and none is left out or comes twice; of what is published much may be missed. */
  #take(from: 'list' | 'channel', control: Controller): void {
    const take = async (t: TaskContext) => {
      for (let n = await t.recv(); n !== undefined; n = await t.recv()) {
        const before = this.#latest[from];
        if (from === 'list' ? n !== before + 1 : (n as number) <= before)
          this.#violated(`the ${from} gave ${n} after ${before}`);
        this.#latest[from] = n as number;
        this.counts[from === 'list' ? 'items' : 'news'] += 1;
      }
    };
    const supervisor = this.#supervise(from);
    const ended = controller(control, take, { name: from, type: 'loop', supervisor })();
    ended.then(
      () => this.#violated(`the controller of the ${from} has ended`),
      (error) => {
        if (!this.#end.signal.aborted) this.#violated(`the controller of the ${from} has ended with ${error}`);
      },
    );
  }

  /** Each number once, though it may be told more than once to a Redis that did not answer. */
  async #push(feeder: Redis, list: string): Promise<void> {
    const script =
      "if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[1]) then redis.call('LPUSH', KEYS[1], ARGV[1]); redis.call('SET', KEYS[2], ARGV[1]) end";
    while (!this.#end.signal.aborted) {
      if (this.#pushed - this.#latest.list >= mostOpen) {
        await pause(addMs);
        continue;
      }
      const n = this.#pushed + 1;
      const isPushed = await feeder.eval(script, 2, list, `${list}:last`, n).then(
        () => true,
        () => false,
      );
      if (isPushed) this.#pushed = n;
      await pause(addMs);
    }
  }

  async #publish(feeder: Redis, channel: string): Promise<void> {
    while (!this.#end.signal.aborted) {
      this.#published += 1;
      await feeder.publish(channel, `${this.#published}`).catch(() => {});
      await pause(addMs);
    }
  }

  /** Of what was added, was due or was put there from now on, some is done by each; else it is a violation, after so long. */
  async progress(withinMs: number): Promise<void> {
    const { list, channel, ticks, tasks, items } = this.#latest;
    const added = this.counts.added + this.counts.refused;
    const marks = { tasks: Math.max(tasks, added), items: Math.max(items, added), ticks: Math.max(ticks, Date.now()) };
    const isFed = this.#options.feeder !== undefined;
    const all = {
      ...marks,
      ...(isFed && { list: Math.max(list, this.#pushed), channel: Math.max(channel, this.#published) }),
    };
    const late = () => Object.entries(all).filter(([name, mark]) => this.#latest[name as keyof typeof marks] <= mark);
    for (const until = Date.now() + withinMs; late().length > 0; await pause(50)) {
      if (Date.now() < until) continue;
      this.#violated(`no progress within ${withinMs} ms of: ${late().map(([name]) => name)}`);
      return;
    }
  }

  /** No more is added, and all that was has to end within so long; then all ends. */
  async finish(withinMs: number): Promise<void> {
    this.#end.abort();
    const quiet = this.#settle();
    if ((await Promise.race([quiet, pause(withinMs, 'late', { ref: false })])) === 'late')
      this.#violated(`${this.#open.size} tasks, or items up to ${this.#pushed}, have not ended within ${withinMs} ms`);
    const [client] = this.#couriers as [BullMQTaskCourier];
    for (const queue of queues) {
      const { waiting, delayed, leased } = await client.getQueueInfo(queue);
      const left = Object.values(waiting).reduce((sum, each) => sum + each, delayed + leased);
      if (left > 0) this.#violated(`${left} tasks are left in ${queue}`);
    }
    this.#worker?.stop();
    await this.#items?.stop();
    await Promise.all(this.#supervisors.map((supervisor) => supervisor.stop({ cancelTasks: true, wait: 1_000 })));
    await Promise.all(this.#couriers.map((courier) => courier.close()));
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#open);
    const hasTasks = async () => {
      const [client] = this.#couriers as [BullMQTaskCourier];
      const infos = await Promise.all(queues.map((queue) => this.#insist(() => client.getQueueInfo(queue))));
      return infos.some((each) => {
        if (each.status === 'rejected') throw each.reason;
        const { waiting, delayed, leased } = each.value;
        return delayed + leased + Object.values(waiting).reduce((sum, one) => sum + one, 0) > 0;
      });
    };
    while ((await hasTasks()) || this.#latest.list < this.#pushed) await pause(50);
  }
}

function runOf(outcome: PromiseSettledResult<Done>): string | undefined {
  return outcome.status === 'fulfilled' ? outcome.value.run : undefined;
}

class Worker extends BaseWorker<Work, Done> {
  readonly #run: (work: Work, id: string, attempt: number) => Promise<Done>;

  constructor(
    courier: BullMQTaskCourier,
    run: (work: Work, id: string, attempt: number) => Promise<Done>,
    onError: (error: unknown) => void,
  ) {
    super({ courier, queueName: 'tasks', maxSimultaneousTasks: 5, onError });
    this.#run = run;
  }

  override performSingleTask({ data, id, attempt }: CourierTask<Work>, _context: CourierTaskContext): Promise<Done> {
    return this.#run(data, id, attempt);
  }
}
