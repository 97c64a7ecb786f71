/**
 * What couriers promise when workers are killed, held, or too busy to extend their leases. Each courier that programs share
 * runs this suite.
 */
import { ClassicWorker, type ClientWorkerTaskCourier, type CourierTask, TaskSupervisor } from 'taskwarden';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Program } from '../fixtures/program.ts';
import { addAll, Echo, expectNothingLeft, resultsOf } from './courier-load.ts';

export interface CourierUnderChaos {
  readonly name: string;
  /** One on the queues of the present test. Who makes it closes it. */
  readonly connect: (options?: { readonly leaseMs: number }) => ClientWorkerTaskCourier;
  /** The arguments of `courier-chaos-worker.mjs` for the same. */
  readonly program: (leaseMs: number, mode: 'holds' | 'echoes') => string[];
}

export function workerChaos({ name, connect, program }: CourierUnderChaos): void {
  function startProgram(mode: 'holds' | 'echoes', leaseMs: number): Program {
    const started = new Program('courier-chaos-worker.mjs', { args: program(leaseMs, mode) });
    onTestFinished(() => started.kill('SIGKILL'));
    return started;
  }

  describe(`${name}: workers that die or stall`, () => {
    it('another worker does what a killed one had, and each result comes once', async () => {
      const client = connect();
      const ids = await addAll(client, 6, { hold: true });
      const results = resultsOf(client, ids);
      const killed = startProgram('holds', 600);
      for (const n of [0, 1, 2, 3]) await killed.printed(`begun ${n}`);
      killed.kill('SIGKILL');
      await killed.ended;
      const other = startProgram('echoes', 600);
      const attempts = [2, 2, 2, 2, 1, 1];
      expect(await results).toEqual(attempts.map((attempt, n) => ({ n, mode: 'echoes', attempt })));
      other.kill('SIGTERM');
      const { code, lines } = await other.ended;
      expect(lines.filter((line) => line.startsWith('begun')).sort()).toEqual(
        [0, 1, 2, 3, 4, 5].map((n) => `begun ${n}`),
      );
      expect(code).toBe(0);
      await expectNothingLeft(client);
    });

    it('the late result of a worker that was held is refused, and the worker goes on', async () => {
      const client = connect();
      const [first] = (await addAll(client, 1, { hold: true })) as [string];
      const result = client.waitForTaskResult('work', first);
      const held = startProgram('holds', 600);
      await held.printed('begun 0');
      held.kill('SIGSTOP');
      const other = startProgram('echoes', 600);
      const expected = { n: 0, mode: 'echoes', attempt: 2 };
      expect(await result).toEqual(expected);
      other.kill('SIGTERM');
      await other.ended;
      held.kill('SIGUSR2');
      held.kill('SIGCONT');
      await held.printed('error LEASE_LOST');
      await held.printed('done 0');
      const second = await client.addTaskToQueue('work', { n: 1 });
      expect(await client.waitForTaskResult('work', second)).toEqual({ n: 1, mode: 'holds', attempt: 1 });
      expect(await client.getTaskResult('work', first)).toEqual(expected);
      held.kill('SIGTERM');
      expect(await held.ended).toMatchObject({ code: 0 });
      await expectNothingLeft(client);
    });

    it('a task that keeps its thread busy for longer than its lease is not given to another', async () => {
      const client = connect();
      await using supervisor = new TaskSupervisor({ threads: { poolSize: 1 } });
      const begun: CourierTask[] = [];
      const classic = new ClassicWorker({
        courier: connect({ leaseMs: 400 }),
        queueName: 'work',
        maxSimultaneousTasks: 1,
        supervisor,
        functions: {
          spin: (ms: number) => {
            for (const end = Date.now() + ms; Date.now() < end; );
            return 'spun';
          },
        },
        onError: (error) => expect.fail(String(error)),
      });
      const performed = classic.perform({ totalIterations: 1 });
      const id = 'spins';
      const add = () => client.addTaskToQueue('work', { function: 'spin', args: [2_000] }, { id });
      await new Promise((resolve) => void client.subscribeToTask('work', id, resolve).then(add));
      const other = new Echo(connect({ leaseMs: 400 }), begun);
      const ended = other.perform();
      expect(await client.waitForTaskResult('work', id)).toBe('spun');
      await performed;
      other.stop();
      await ended;
      expect(begun).toEqual([]);
    });
  });
}
