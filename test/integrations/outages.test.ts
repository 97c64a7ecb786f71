/** What workers do while the server of their courier is away, or never answers; and what they say of it. */
import {
  BackgroundEventWorker,
  BackgroundQueueWorker,
  BaseWorker,
  backgroundTask,
  ClassicWorker,
  type ClientWorkerTaskCourier,
  type CourierTask,
  type CourierTaskContext,
  MemoryTaskCourier,
  TaskSupervisor,
  TaskwardenError,
  viaCourier,
  type WaitOptions,
} from 'taskwarden';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';

afterEach(() => void vi.useRealTimers());

const queueName = 'numbers';
const never = () => new Promise<never>(() => {});
const turn = () => new Promise((resolve) => setImmediate(resolve));

type Method = (...args: never[]) => unknown;

/** A courier whose server can go away, and may never answer. What it carries is in memory. */
class Server {
  readonly memory: MemoryTaskCourier;
  /** As a machine sees it. */
  readonly courier: ClientWorkerTaskCourier;
  /** The methods that have been asked while it was away. */
  readonly missed: string[] = [];
  /** Methods that it can't do. */
  unableTo: readonly string[] = [];
  /** Methods that never answer. */
  deafTo: readonly string[] = [];
  #isAway = false;
  #away = new AbortController();

  constructor(leaseMs = 30_000) {
    this.memory = new MemoryTaskCourier({ leaseMs });
    this.courier = new Proxy(this.memory, {
      get: (memory, name) => {
        const member = Reflect.get(memory, name, memory) as unknown;
        return typeof member === 'function'
          ? (...args: unknown[]) => this.#call(String(name), member as Method, args)
          : member;
      },
    });
  }

  #call(name: string, method: Method, args: unknown[]): unknown {
    if (this.deafTo.includes(name)) return never();
    if (this.#isAway || this.unableTo.includes(name)) return this.#missed(name);
    if (name !== 'bulkWaitForTasks') return method.apply(this.memory, args as never[]);
    const [queue, max, options = {}] = args as [string, number, WaitOptions?];
    const away = this.#away.signal;
    const signal = AbortSignal.any([away, ...(options.signal ? [options.signal] : [])]);
    return this.memory.bulkWaitForTasks(queue, max, { ...options, signal }).catch((error: unknown) => {
      if (away.aborted) return this.#missed(name);
      throw error;
    });
  }

  #missed(name: string): Promise<never> {
    this.missed.push(name);
    return Promise.reject(new TaskwardenError('COURIER_UNREACHABLE', 'the server is away'));
  }

  goAway(): void {
    this.#isAway = true;
    this.#away.abort();
  }

  comeBack(): void {
    this.#isAway = false;
    this.#away = new AbortController();
  }
}

type Perform = (task: CourierTask, context: CourierTaskContext) => unknown;

class Single extends BaseWorker {
  readonly troubles: unknown[] = [];
  readonly #perform: Perform;

  constructor(server: Server, perform: Perform) {
    super({ queueName, courier: server.courier, onError: (error) => void this.troubles.push(error) });
    this.#perform = perform;
  }

  override async performSingleTask(task: CourierTask, context: CourierTaskContext): Promise<unknown> {
    return this.#perform(task, context);
  }
}

const double: Perform = ({ data }) => (data as number) * 2;
const unreachable = expect.objectContaining({ code: 'COURIER_UNREACHABLE' });
const lost = expect.objectContaining({ code: 'LEASE_LOST' });

/** Resolves when the test lets it. */
function door(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

describe('while the server is away', () => {
  it('a worker asks again until it is back, and tells of each outage once', async () => {
    const server = new Server();
    const worker = new Single(server, double);
    const performed = worker.perform({ totalIterations: 2 });
    for (const outage of [1, 2]) {
      server.goAway();
      await vi.waitUntil(() => server.missed.length >= 3 * outage);
      server.comeBack();
      const id = await server.memory.addTaskToQueue(queueName, outage);
      expect(await server.memory.waitForTaskResult(queueName, id)).toBe(2 * outage);
      expect(worker.troubles).toEqual(Array.from({ length: outage }, () => unreachable));
    }
    await performed;
  });

  it('it asks ever less often, every five seconds at last', async () => {
    vi.useFakeTimers();
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const server = new Server();
    server.goAway();
    const worker = new Single(server, double);
    const performed = worker.perform();
    const asked: number[] = [];
    for (const ms of [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      await vi.advanceTimersByTimeAsync(Math.max(ms - 1, 0));
      const before = server.missed.length;
      await vi.advanceTimersByTimeAsync(Math.min(ms, 1));
      asked.push(server.missed.length - before);
    }
    expect(asked.slice(1)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect(server.missed).toHaveLength(9);
    worker.stop();
    await performed;
    vi.restoreAllMocks();
  });

  it('those that fetch side by side ask no more often than one', async () => {
    vi.useFakeTimers();
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const server = new Server();
    server.goAway();
    const supervisor = new TaskSupervisor({ logger: false });
    const options = { queueName, courier: server.courier, functions: { idle: () => {} }, onError: () => {} };
    const worker = new ClassicWorker({ ...options, supervisor, maxSimultaneousTasks: 10 });
    const performed = worker.perform();
    await vi.advanceTimersByTimeAsync(100 + 200 + 400 + 800 + 1_600 + 3_200);
    expect(server.missed).toHaveLength(7);
    worker.stop();
    await performed;
    await supervisor.stop();
    vi.restoreAllMocks();
  });

  it('a worker keeps what it could not return, and returns it then', async () => {
    const server = new Server();
    const ids = await server.memory.bulkAddTasksToQueue(queueName, [1, 2]);
    const worker = new Single(server, ({ data }) => {
      server.goAway();
      if (data === 2) throw new Error('odd');
      return data;
    });
    const performed = worker.perform({ totalIterations: 2 });
    for (const [place, method] of ['bulkReturnTaskResults', 'returnTaskError'].entries()) {
      await vi.waitUntil(() => server.missed.filter((each) => each === method).length >= 2);
      expect(worker.inFlight).toBe(1);
      server.comeBack();
      await server.memory.waitForTaskResult(queueName, ids[place] as string).catch(() => {});
    }
    expect(await server.memory.getTaskResult(queueName, ids[0] as string)).toBe(1);
    expect(await failure(server.memory.getTaskResult(queueName, ids[1] as string))).toMatchObject({ message: 'odd' });
    await performed;
    expect(worker.inFlight).toBe(0);
  });

  it('and can do one thing and not another, that is one outage, however much of the other it does', async () => {
    const server = new Server();
    const worker = new Single(server, double);
    worker.maxSimultaneousTasks = 2;
    const performed = worker.perform();
    server.unableTo = ['bulkReturnTaskResults'];
    const first = await server.memory.addTaskToQueue(queueName, 1);
    await vi.waitUntil(() => server.missed.length > 0);
    await server.memory.addTaskToQueue(queueName, 2);
    await vi.waitUntil(() => server.missed.length >= 6);
    expect(worker.troubles).toEqual([unreachable]);
    server.unableTo = [];
    expect(await server.memory.waitForTaskResult(queueName, first)).toBe(2);
    worker.stop();
    await performed;
  });

  it('a lease is extended as soon as it is back', async () => {
    vi.useFakeTimers();
    const server = new Server(9_000);
    const gate = door();
    const id = await server.memory.addTaskToQueue(queueName, 1);
    const worker = new Single(server, () => gate.passed);
    const performed = worker.perform({ totalIterations: 1 });
    const extend = vi.spyOn(server.memory, 'bulkExtendLeases');
    await vi.advanceTimersByTimeAsync(2_999);
    server.goAway();
    await vi.advanceTimersByTimeAsync(1);
    expect(server.missed).toEqual(['bulkExtendLeases']);
    server.comeBack();
    await vi.advanceTimersByTimeAsync(100); // the longest that the first pause can be
    expect(extend).toHaveBeenCalledTimes(1);
    gate.open();
    await performed;
    expect(await server.memory.checkForDone(queueName, id)).toBe(true);
    expect(worker.troubles).toEqual([unreachable]);
  });

  it('a lease that is lost meanwhile ends the tries, and the worker goes on', async () => {
    vi.useFakeTimers();
    const server = new Server(1_000);
    const id = await server.memory.addTaskToQueue(queueName, 1);
    const worker = new Single(server, ({ data }) => {
      if (data === 1) server.goAway();
      return data;
    });
    const performed = worker.perform();
    await vi.advanceTimersByTimeAsync(3_000);
    const [task] = await server.memory.bulkGetTasks(queueName, 1);
    expect(task).toMatchObject({ id, attempt: 2 });
    await server.memory.returnTaskResult(queueName, task as CourierTask, 'by another');
    const next = await server.memory.addTaskToQueue(queueName, 2);
    server.comeBack();
    await vi.advanceTimersByTimeAsync(6_000);
    expect(worker.troubles).toEqual([unreachable, lost]);
    expect(await server.memory.getTaskResult(queueName, next)).toBe(2);
    worker.stop();
    await performed;
  });

  it('an answer with next tasks that is lost loses none: they come again when their leases run out', async () => {
    vi.useFakeTimers();
    const server = new Server(1_000);
    const give = server.memory.bulkReturnTaskResults.bind(server.memory);
    const held: number[] = [];
    server.memory.bulkReturnTaskResults = async (...args) => {
      held.push((await give(...args)).length);
      if (held.length > 1) return [];
      throw new TaskwardenError('COURIER_UNREACHABLE', 'the server went away as it answered');
    };
    const ids = await server.memory.bulkAddTasksToQueue(queueName, [1, 2]);
    const done: unknown[] = [];
    const worker = new Single(server, (task) => {
      done.push([task.data, task.attempt]);
      return double(task, undefined as never);
    });
    const performed = worker.perform();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(held[0]).toBe(1);
    expect(done).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(worker.troubles).toEqual([unreachable, lost]);
    expect(await Promise.all(ids.map((id) => server.memory.getTaskResult(queueName, id)))).toEqual([2, 4]);
    worker.stop();
    await performed;
  });

  it('what a client says is heard when it is back', async () => {
    const server = new Server();
    const heed = door();
    const worker = new Single(server, async (_task, context) => {
      heed.open();
      await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve()));
    });
    const id = await server.memory.addTaskToQueue(queueName, 1);
    const [task] = await server.memory.bulkGetTasks(queueName, 1);
    worker.waitForTasks = () => {
      server.goAway();
      return Promise.resolve([task as CourierTask]);
    };
    const performed = worker.perform({ totalIterations: 1 });
    await heed.passed;
    expect(server.missed).toContain('subscribeToClient');
    server.comeBack();
    await server.memory.cancelTask(queueName, id);
    await performed;
    expect(worker.troubles).toEqual([unreachable]);
  });

  it('the end of a worker waits for a lease to run out, and no longer', async () => {
    vi.useFakeTimers();
    const server = new Server(1_000);
    await server.memory.addTaskToQueue(queueName, 1);
    const worker = new Single(server, () => {
      server.goAway();
      worker.stop();
    });
    let isOver = false;
    const performed = worker.perform().then(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(900);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(500);
    await performed;
    expect(worker.inFlight).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('a background worker goes on afterwards, and tells of it once', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const server = new Server();
    const errors: unknown[] = [];
    const worker = new BackgroundQueueWorker((item: number) => item * 2, {
      name: 'doubles',
      type: 'loop',
      supervisor,
      queue: { courier: server.courier, concurrency: 5 },
      onError: (error) => errors.push(error),
    });
    worker.start();
    await turn();
    server.goAway();
    await vi.waitUntil(() => server.missed.length >= 3);
    server.comeBack();
    expect(await server.memory.waitForTaskResult('doubles', await worker.put(21))).toBe(42);
    expect(errors).toEqual([unreachable]);
    await worker.stop();
  });

  it('a call by a courier fails if it can not be added', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const server = new Server();
    const add = backgroundTask((a: number, b: number) => a + b, { name: 'add', type: 'loop', supervisor });
    const remote = viaCourier(server.courier, 'calls', add);
    server.goAway();
    expect(await failure(remote(1, 2))).toMatchObject({ code: 'COURIER_UNREACHABLE' });
  });
});

describe('when the server never answers', () => {
  it('a fetch does not hold up the end', async () => {
    const server = new Server();
    server.deafTo = ['bulkWaitForTasks'];
    const worker = new Single(server, double);
    const performed = worker.perform();
    worker.stop();
    await performed;
  });

  it('what a fetch gives after the end goes back', async () => {
    const server = new Server();
    const gate = door();
    const id = await server.memory.addTaskToQueue(queueName, 1);
    const worker = new Single(server, double);
    worker.waitForTasks = async () => {
      await gate.passed;
      return server.memory.bulkGetTasks(queueName, 1);
    };
    const performed = worker.perform();
    worker.stop();
    await performed;
    gate.open();
    await turn();
    expect(await server.memory.getTask(queueName)).toMatchObject({ id, attempt: 1 });
  });

  it('a return holds up the end for as long as a lease holds', async () => {
    vi.useFakeTimers();
    const server = new Server(1_000);
    server.deafTo = ['bulkReturnTaskResults', 'bulkExtendLeases'];
    await server.memory.addTaskToQueue(queueName, 1);
    const worker: Single = new Single(server, () => worker.stop());
    const performed = worker.perform();
    await vi.advanceTimersByTimeAsync(1_500);
    await performed;
    expect(worker.troubles).toEqual([unreachable]);
  });

  it('a task that is still performed is waited for', async () => {
    vi.useFakeTimers();
    const server = new Server(1_000);
    const gate = door();
    const id = await server.memory.addTaskToQueue(queueName, 1);
    const worker = new Single(server, async () => {
      worker.stop();
      await gate.passed;
      return 'done';
    });
    const performed = worker.perform();
    await vi.advanceTimersByTimeAsync(10_000);
    gate.open();
    await performed;
    expect(await server.memory.getTaskResult(queueName, id)).toBe('done');
    expect(worker.troubles).toEqual([]);
  });

  it('the supervisor keeps the deadline of its stop', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const server = new Server();
    server.deafTo = ['bulkReturnTaskResults', 'releaseTask', 'close'];
    const begun = door();
    const worker = new BackgroundQueueWorker((_item: number) => begun.open(), {
      name: 'w',
      type: 'loop',
      supervisor,
      queue: { courier: server.courier },
      onError: () => {},
    });
    worker.start();
    await worker.put(1);
    await begun.passed;
    expect(await supervisor.stop({ wait: 100 })).toMatchObject({ canceled: 0, terminated: 0 });
    expect(supervisor.state).toBe('stopped');
    await worker.ended;
  });
});

describe('the health of workers', () => {
  it('says when the courier last answered a fetch, and what is in flight', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const gate = door();
    const courier = new MemoryTaskCourier();
    const worker = new BackgroundQueueWorker((_item: number) => gate.passed, {
      name: 'w',
      type: 'loop',
      supervisor,
      queue: { courier, concurrency: 2 },
    });
    const info = () => supervisor.getInfo().workers;
    expect(info()).toEqual([]);
    worker.start();
    expect(info()).toMatchObject([{ name: 'w', state: 'started', timeFetched: undefined, inFlight: 0 }]);
    const from = Date.now();
    const id = await worker.put(1);
    await turn();
    const [{ timeFetched, inFlight } = {}] = info();
    expect(inFlight).toBe(1);
    expect(timeFetched).toBeGreaterThanOrEqual(from);
    gate.open();
    await courier.waitForTaskResult('w', id);
    await worker.stop();
    expect(worker).toMatchObject({ timeFetched, inFlight: 0 });
  });

  it('is what the server said last, while it has nothing', async () => {
    class Remote extends MemoryTaskCourier {
      answered: number | undefined = undefined;
      override get timeAnswered(): number | undefined {
        return this.answered;
      }
    }
    await using supervisor = new TaskSupervisor({ logger: false });
    const courier = new Remote();
    const options = { name: 'w', type: 'loop', supervisor, queue: { courier } } as const;
    const worker = new BackgroundQueueWorker(() => {}, options);
    worker.start();
    await turn();
    expect(worker.timeFetched).toBeUndefined();
    courier.answered = 1_234;
    expect(supervisor.getInfo().workers).toMatchObject([{ timeFetched: 1_234 }]);
  });

  it('is told of workers of other kinds without what they have not', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const worker = new BackgroundEventWorker(() => {}, { name: 'bell', type: 'loop', supervisor });
    worker.start();
    expect(supervisor.getInfo().workers).toEqual([
      { name: 'bell', state: 'started', isPaused: false, lastExecuted: undefined },
    ]);
  });
});
