/**
 * Limits hold for several machines or programs, which are processes here; one of them is killed. Each courier that they share
 * runs this suite.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { ClientWorkerTaskCourier } from 'taskwarden';
import { afterEach, describe, expect, it, vi } from 'vitest';

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

let machines: ChildProcess[] = [];

afterEach(async () => {
  for (const machine of machines.splice(0)) {
    if (machine.exitCode !== null || machine.signalCode !== null) continue;
    const exited = once(machine, 'exit');
    machine.disconnect();
    await exited;
  }
});

function start(count: number, args: readonly string[], limits: object, onTold: (told: Told, by: ChildProcess) => void) {
  machines = Array.from({ length: count }, () => {
    const machine = fork(program, [...args, `${leaseMs}`, JSON.stringify(limits)], { execArgv: [] });
    machine.on('message', (told: Told) => onTold(told, machine));
    return machine;
  });
}

/** How many ran at a time, at most. */
function mostAtOnce(runs: readonly Told[]): number {
  return Math.max(
    ...runs.map(({ began }) => runs.filter((run) => run.began <= began && (run.ended ?? 0) > began).length),
  );
}

export function limitedMachines(name: string, share: () => Promise<Shared>): void {
  describe(`on ${name}`, () => {
    it('no key has more than its share, and no task is lost with the machine that had it', {
      timeout: 120_000,
    }, async () => {
      const { create, args, end } = await share();
      const courier = create(leaseMs);
      try {
        await courier.setLimits('limited', { maxPerKey: 2 });
        const ids: string[] = [];
        for (const key of ['a', 'b', 'c']) {
          ids.push(...(await courier.bulkAddTasksToQueue('limited', new Array<number>(20).fill(15), { key })));
        }
        const results = Promise.all(ids.map((id) => courier.waitForTaskResult('limited', id)));
        const runs: Told[] = [];
        let killed: ChildProcess | undefined;
        start(3, args, { maxPerKey: 2 }, (told, machine) => {
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
        expect(await courier.getQueueInfo('limited')).toMatchObject({ delayed: 0, leased: 0, waiting: { normal: 0 } });
      } finally {
        await courier.close();
        await end();
      }
    });

    it('all together start no more than the rate allows', { timeout: 120_000 }, async () => {
      const { create, args, end } = await share();
      const courier = create(leaseMs);
      const rate = { max: 1, perMs: 40 };
      try {
        await courier.setLimits('limited', { rate });
        const before = Number(process.hrtime.bigint()) / 1e6;
        const ids = await courier.bulkAddTasksToQueue('limited', new Array<number>(25).fill(1));
        const began: number[] = [];
        start(3, args, { rate }, (told) => {
          if (told.ended === undefined) began.push(told.began);
        });
        await Promise.all(ids.map((id) => courier.waitForTaskResult('limited', id)));
        await vi.waitUntil(() => began.length >= ids.length); // results may come before what is told
        began.sort((a, b) => a - b);
        // What is told comes after the start: the n-th start is never earlier than this.
        for (const [n, at] of began.entries()) expect(at - before).toBeGreaterThanOrEqual(n * rate.perMs - 1);
        expect(began).toHaveLength(25);
      } finally {
        await courier.close();
        await end();
      }
    });
  });
}
