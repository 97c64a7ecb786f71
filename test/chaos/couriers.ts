/**
 * What couriers on a server promise when workers die or stall, and when the server dies, falls silent, or breaks its
 * connections. Each kind of server runs this suite.
 */
import { BaseWorker, type ClientWorkerTaskCourier, type CourierTask, type TaskwardenError } from 'taskwarden';
import { type BullMQCourierOptions, BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { startProxy } from '../servers/proxy.ts';
import type { Server } from '../servers/server.ts';
import { addAll, Echo, expectNothingLeft, resultsOf } from './courier-load.ts';
import { workerChaos } from './courier-workers.ts';

export interface ServerUnderChaos {
  readonly name: string;
  /** What it was told outlives its restart. */
  start(): Promise<Server>;
  /** How many connections the clients of the server have, without that which asks. */
  connections(url: string): Promise<number>;
  /** Ends all of them. */
  breakConnections(url: string): Promise<void>;
  /** So many a client has at most, that does not fetch. */
  readonly mostOfClient: number;
  /** A URL of this server that it refuses. */
  refusedUrl(url: string): Promise<string>;
}

/** Longer than the server may take for an answer, and shorter than for ever. */
const soonMs = 9_000;
/** Nobody who is refused waits for an answer. */
const atOnceMs = 3_000;

let prefixes = 0;

export function courierChaos(kind: ServerUnderChaos): void {
  let server: Server;
  let prefix: string;
  const open: ClientWorkerTaskCourier[] = [];

  beforeAll(async () => {
    server = await kind.start();
  });

  afterAll(() => server.stop());

  beforeEach(() => {
    prefixes += 1;
    prefix = `chaos${prefixes}`;
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((courier) => courier.close()));
  });

  function connect(options: BullMQCourierOptions = {}, url = server.url): BullMQTaskCourier {
    const courier = new BullMQTaskCourier(url, { prefix, ...options });
    open.push(courier);
    return courier;
  }

  workerChaos({
    name: kind.name,
    connect,
    program: (leaseMs, mode) => [server.url, prefix, `${leaseMs}`, mode],
  });

  describe(`${kind.name}: the server dies`, () => {
    it('nothing that waits, runs or is waited for is lost, and all go on when it is back', async () => {
      const client = connect();
      const worker = new Gated(connect());
      const performed = worker.perform();
      const ids = await addAll(client, 12);
      const results = resultsOf(client, ids);
      await worker.begun;
      await server.kill();

      expect(await within(atOnceMs, failure(client.addTaskToQueue('work', { n: 99 })))).toMatchObject(unreachable);
      const waits = client.addTaskToQueue('work', { n: 12 }, { wait: true });
      const late = failure(client.waitForTaskResult('work', 'nobody', { timeoutMs: 100 }));
      expect(await late).toMatchObject({ code: 'RESULT_TIMEOUT' });
      worker.open(); // what it has done meanwhile is returned when the server is back

      await server.restart();
      const last = await waits;
      const expected = Array.from({ length: 13 }, (_, n) => n);
      expect([...(await results), await client.waitForTaskResult('work', last)]).toEqual(expected);
      worker.stop();
      await performed;
      expect(worker.performed.sort((a, b) => a - b)).toEqual(expected);
      await expectNothingLeft(client);
    });

    it('whoever stops or closes does not wait for it', async () => {
      const client = connect();
      const workerCourier = connect();
      const worker = new Echo(workerCourier);
      const performed = worker.perform();
      const id = await client.addTaskToQueue('work', 'first');
      expect(await client.waitForTaskResult('work', id)).toBe('first');
      await worker.isIdle;
      const lost = failure(client.waitForTaskResult('work', 'nobody-adds-it', { timeoutMs: 60_000 })).catch(() => {});
      await server.kill();
      const waits = failure(client.addTaskToQueue('work', 1, { wait: true }));
      worker.stop();
      await within(atOnceMs, performed);
      await within(atOnceMs, Promise.all([client.close(), workerCourier.close()]));
      expect(await waits).toMatchObject({ code: 'COURIER_CLOSED' });
      await lost;
      await server.restart();
    });

    it('a courier can be made while it is away: its first call says so, with the cause, and later ones go on', async () => {
      await server.kill();
      const courier = connect();
      expect(await within(atOnceMs, failure(courier.getQueueInfo('work')))).toMatchObject({
        code: 'COURIER_UNREACHABLE',
        cause: { code: 'ECONNREFUSED' },
      });
      const worker = new Echo(connect());
      const performed = worker.perform({ totalIterations: 1 });
      const waits = courier.addTaskToQueue('work', 'late', { wait: true });
      await server.restart();
      expect(await courier.waitForTaskResult('work', await waits)).toBe('late');
      await performed;
    });
  });

  /** Ways of falling silent. */
  const silences = {
    'a connection that is half open': async () => {
      const proxy = await startProxy(server.port);
      onTestFinished(() => proxy.stop());
      const url = new URL(server.url);
      url.port = `${proxy.port}`;
      return { url: url.href, begin: () => proxy.freeze(), end: () => proxy.thaw() };
    },
    'half-open connections that never come back': async () => {
      const proxy = await startProxy(server.port);
      onTestFinished(() => proxy.stop());
      const url = new URL(server.url);
      url.port = `${proxy.port}`;
      const end = () => {
        proxy.cut();
        proxy.thaw();
      };
      return { url: url.href, begin: () => proxy.freeze(), end };
    },
    'a server that is held': async () => ({
      url: server.url,
      begin: () => server.pause(),
      end: () => server.resume(),
    }),
  };

  describe.each(Object.entries(silences))(`${kind.name}: %s`, (_, silence) => {
    it('adding fails in time, and all go on afterwards', async () => {
      const { url, begin, end } = await silence();
      const client = connect({}, url);
      const worker = new Gated(connect({}, url));
      const performed = worker.perform();
      const ids = await addAll(client, 3);
      const results = resultsOf(client, ids);
      await worker.begun;
      await begin();
      try {
        expect(await within(soonMs, failure(client.addTaskToQueue('work', { n: 99 })))).toMatchObject(unreachable);
        worker.open();
      } finally {
        await end();
      }
      expect(await results).toEqual([0, 1, 2]);
      const id = await client.addTaskToQueue('work', { n: 3 }, { wait: true });
      expect(await client.waitForTaskResult('work', id)).toBe(3);
      worker.stop();
      await performed;
    });

    it('whoever stops or closes does not wait for ever', async () => {
      const { url, begin, end } = await silence();
      const client = connect({}, url);
      const workerCourier = connect({}, url);
      const worker = new Echo(workerCourier);
      const performed = worker.perform();
      const id = await client.addTaskToQueue('work', 'first');
      expect(await client.waitForTaskResult('work', id)).toBe('first');
      await worker.isIdle;
      const fresh = connect({}, url);
      await begin();
      try {
        const first = failure(fresh.getQueueInfo('work'));
        worker.stop();
        await within(soonMs, performed);
        await within(soonMs, Promise.all([client.close(), workerCourier.close(), fresh.close()]));
        expect(await first).toMatchObject({ code: 'COURIER_CLOSED' });
      } finally {
        await end();
      }
    });
  });

  describe(`${kind.name}: connections`, () => {
    it('thousands who wait share them, and get their results though all are broken meanwhile', async () => {
      const before = await kind.connections(server.url);
      const client = connect();
      const ids = await addAll(client, 2_000);
      const results = resultsOf(client, ids);
      await client.subscribeToTask('work', ids[0] as string, () => {}); // it listens
      expect((await kind.connections(server.url)) - before).toBeLessThanOrEqual(kind.mostOfClient);
      const worker = new Gated(connect());
      worker.maxTasksPerIteration = 100;
      worker.maxSimultaneousTasks = 100;
      const performed = worker.perform();
      await worker.begun;
      await kind.breakConnections(server.url);
      worker.open();
      expect(await results).toEqual(ids.map((_, n) => n));
      worker.stop();
      await performed;
    });

    it('are gone after close(), and the process ends by itself', async () => {
      const { code, signal, lines, stderr } = await runProgram('courier-chaos-ends.mjs', {
        args: [server.url, prefix],
      });
      expect({ code, signal, lines, stderr }).toEqual({
        code: 0,
        signal: null,
        lines: ['echoed', 'closed'],
        stderr: '',
      });
    });

    it('that the server refuses are no matter of waiting', async () => {
      const courier = connect({}, await kind.refusedUrl(server.url));
      const errors = await within(
        atOnceMs,
        Promise.all([
          failure(courier.addTaskToQueue('work', 1)),
          failure(courier.addTaskToQueue('work', 1, { wait: true })),
          failure(courier.waitForTaskResult('work', 'any')),
          failure(courier.waitForTask('work')),
          failure(new Echo(courier).perform()),
        ]),
      );
      for (const error of errors) {
        expect(error).toBeInstanceOf(Error);
        expect((error as TaskwardenError).code).not.toBe('COURIER_UNREACHABLE');
        expect((error as Error).message).toMatch(/password|does not exist/);
      }
    });
  });
}

const unreachable = { code: 'COURIER_UNREACHABLE', cause: expect.any(Error) };

/** Performs nothing until it is opened, and then gives the number of each task. */
class Gated extends BaseWorker<{ readonly n: number }> {
  readonly performed: number[] = [];
  readonly begun: Promise<void>;
  #sayBegun!: () => void;
  readonly #gate: Promise<void>;
  open!: () => void;

  constructor(courier: ClientWorkerTaskCourier) {
    super({ courier, queueName: 'work', onError: () => {} });
    this.begun = new Promise((resolve) => {
      this.#sayBegun = resolve;
    });
    this.#gate = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  override async performSingleTask({ data }: CourierTask<{ readonly n: number }>): Promise<number> {
    this.#sayBegun();
    await this.#gate;
    this.performed.push(data.n);
    return data.n;
  }
}

/** What does not hang is much sooner than this. */
function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`it took longer than ${ms} ms`)), ms);
    promise.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}
