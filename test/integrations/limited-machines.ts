/**
 * Limits hold for several machines or programs, which are processes here; one of them is killed. Each courier that they share
 * runs this suite.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { ClientWorkerTaskCourier } from 'taskwarden';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

const program = new URL('../fixtures/programs/limited-worker.mjs', import.meta.url);
const leaseMs = 2_000;

/** A place for queues, which is new. */
export interface Shared {
  readonly create: (leaseMs: number) => ClientWorkerTaskCourier;
  /** The first arguments of `limited-worker.mjs` for the same. */
  readonly args: readonly string[];
  readonly end: () => Promise<unknown>;
}

interface Told {
  readonly id: string;
  readonly key: string;
  readonly began: number;
  readonly ended?: number;
}

/** They go on for the next test, with another queue. */
class Machines {
  readonly #args: readonly string[];
  #living: ChildProcess[] = [];

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  start(count: number, queueName: string, limits: object, onTold: (told: Told, by: ChildProcess) => void): void {
    while (this.#living.length < count) this.#living.push(fork(program, this.#args, { execArgv: [] }));
    for (const machine of this.#living) {
      machine.on('message', (told: Told | 'stopped') => {
        if (told !== 'stopped') onTold(told, machine);
      });
      machine.send({ queueName, ...limits });
    }
  }

  /** Until none has a task. */
  async rest(): Promise<void> {
    this.#living = this.#living.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    for (const machine of this.#living) {
      const stopped = new Promise<void>((resolve) => {
        machine.on('message', (told) => told === 'stopped' && resolve());
        machine.once('exit', resolve);
      });
      machine.send('stop');
      await stopped;
      machine.removeAllListeners();
    }
  }

  async end(): Promise<void> {
    for (const machine of this.#living) {
      const exited = once(machine, 'exit');
      machine.disconnect();
      await exited;
    }
  }
}

/** How many ran at a time, at most. */
function mostAtOnce(runs: readonly Told[]): number {
  return Math.max(
    ...runs.map(({ began }) => runs.filter((run) => run.began <= began && (run.ended ?? 0) > began).length),
  );
}

export function limitedMachines(name: string, share: () => Promise<Shared>): void {
  describe(`on ${name}`, () => {
    let shared: Shared;
    let courier: ClientWorkerTaskCourier;
    let machines: Machines;

    beforeAll(async () => {
      shared = await share();
      courier = shared.create(leaseMs);
      machines = new Machines([...shared.args, `${leaseMs}`]);
    });

    afterEach(() => machines.rest());

    afterAll(async () => {
      await machines?.end();
      await courier?.close();
      await shared?.end();
    });

    it('no key has more than its share, and no task is lost with the machine that had it', {
      timeout: 120_000,
    }, async () => {
      await courier.setLimits('by-key', { maxPerKey: 2 });
      const ids: string[] = [];
      for (const key of ['a', 'b', 'c']) {
        ids.push(...(await courier.bulkAddTasksToQueue('by-key', new Array<number>(20).fill(15), { key })));
      }
      const results = Promise.all(ids.map((id) => courier.waitForTaskResult('by-key', id)));
      const runs: Told[] = [];
      let killed: ChildProcess | undefined;
      machines.start(3, 'by-key', { maxPerKey: 2 }, (told, machine) => {
        if (told.ended !== undefined) runs.push(told);
        else if (killed === undefined && runs.length > 5) {
          killed = machine; // it has just begun this one
          machine.kill('SIGKILL');
        }
      });
      expect(await results).toEqual(ids);
      expect(killed?.killed).toBe(true);
      for (const key of ['a', 'b', 'c']) {
        const ofKey = runs.filter((run) => run.key === key);
        expect(mostAtOnce(ofKey)).toBeLessThanOrEqual(2);
        expect(new Set(ofKey.map(({ id }) => id)).size).toBeGreaterThanOrEqual(19); // it may have been killed before it told
      }
      expect(await courier.getQueueInfo('by-key')).toMatchObject({ delayed: 0, leased: 0, waiting: { normal: 0 } });
    });

    it('all together start no more than the rate allows', { timeout: 120_000 }, async () => {
      const rate = { max: 1, perMs: 40 };
      await courier.setLimits('at-rate', { rate });
      const before = Number(process.hrtime.bigint()) / 1e6;
      const ids = await courier.bulkAddTasksToQueue('at-rate', new Array<number>(25).fill(1));
      const began: number[] = [];
      machines.start(2, 'at-rate', { rate }, (told) => {
        if (told.ended === undefined) began.push(told.began);
      });
      await Promise.all(ids.map((id) => courier.waitForTaskResult('at-rate', id)));
      await vi.waitUntil(() => began.length >= ids.length); // results may come before what is told
      began.sort((a, b) => a - b);
      // What is told comes after the start: the n-th start is never earlier than this.
      for (const [n, at] of began.entries()) expect(at - before).toBeGreaterThanOrEqual(n * rate.perMs - 1);
      expect(began).toHaveLength(25);
    });
  });
}
