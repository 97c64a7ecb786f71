/** Hooks, runs and tasks that stop what waits for them: they don't wait for themselves. */
import {
  type BackgroundWorker,
  backgroundTask,
  backgroundWorker,
  currentTask,
  TaskSupervisor,
  taskSupervisor,
} from 'taskwarden';
import { afterAll, describe, expect, it } from 'vitest';
import { heard } from '../fixtures/listening.ts';
import { stopsItself } from '../fixtures/tasks/stops-itself.ts';

afterAll(() => taskSupervisor.stop());

const hooks = ['beforeStart', 'afterStart', 'beforeStop', 'afterStop', 'processResult', 'onError'] as const;

/** A worker with a run that gives a result, and one that fails; its hook calls back, and waits for what that gives. */
function workerWith(hook: (typeof hooks)[number], call: (worker: { stop(): Promise<boolean> }) => unknown) {
  const supervisor = new TaskSupervisor({ logger: false });
  let runs = 0;
  const run = () => {
    runs += 1;
    if (runs > 1) throw new Error('the second run');
  };
  const given: unknown[] = [];
  const callBack = async () => {
    given.push(await call(worker));
  };
  const worker = backgroundWorker(run, { name: 'own', type: 'loop', supervisor, [hook]: callBack });
  return { supervisor, worker, given };
}

describe.each(hooks)('a hook: %s', (hook) => {
  it('that awaits the stop of its worker goes on, and the worker ends after it', async () => {
    const { supervisor, worker, given } = workerWith(hook, (own) => own.stop());
    worker.start();
    if (hook === 'beforeStop' || hook === 'afterStop') await worker.stop();
    await worker.ended;
    expect(given[0]).toBe(true);
    await supervisor.stop();
  });

  it('that awaits the stop of its supervisor goes on, and that stops after it', async () => {
    const { supervisor, worker, given } = workerWith(hook, () => supervisor.stop());
    worker.start();
    if (hook === 'beforeStop' || hook === 'afterStop') await worker.stop();
    const report = await supervisor.block();
    expect(given[0]).toMatchObject({ canceled: 0, terminated: 0 });
    expect(report).toMatchObject({ canceled: 0, terminated: 0 });
    expect(worker.isStopped).toBe(true);
  });
});

describe.each(hooks)('a hook: %s', (hook) => {
  it('that gives the end of its worker, instead of awaiting it, does not wait either', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    let runs = 0;
    const run = () => {
      runs += 1;
      if (runs > 1) throw new Error('the second run');
    };
    const stop = (): unknown => worker.stop();
    const worker: BackgroundWorker = backgroundWorker(run, { name: 'own', type: 'loop', supervisor, [hook]: stop });
    worker.start();
    if (hook === 'beforeStop' || hook === 'afterStop') await worker.stop();
    await worker.ended;
    expect(worker.isStopped).toBe(true);
  });
});

it('who awaits elsewhere what a run was given has the end', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const stops: Promise<boolean>[] = [];
  const run = async () => {
    stops.push(worker.stop());
    await new Promise(setImmediate);
  };
  const worker: BackgroundWorker = backgroundWorker(run, { name: 'own', type: 'loop', supervisor, event: true });
  worker.start();
  const begun = heard(supervisor, 'task:started');
  (worker as unknown as { trigger(): boolean }).trigger();
  await begun;
  while (stops.length === 0) await new Promise(setImmediate);
  expect([await stops[0], worker.isStopped]).toEqual([true, true]);
});

it('a hook that awaits the restart of its worker goes on, and the worker starts again', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  let starts = 0;
  let restarted: unknown;
  const worker = backgroundWorker(() => {}, {
    name: 'again',
    type: 'loop',
    supervisor,
    event: true,
    afterStart: async () => {
      starts += 1;
      if (starts === 1) restarted = await worker.restart();
      else void worker.stop();
    },
  });
  worker.start();
  await worker.ended;
  await worker.ended;
  expect(restarted).toBe(true);
  expect(starts).toBe(2);
});

it('hooks of two workers that stop each other don’t wait for each other', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const options = { type: 'loop', supervisor, event: true } as const;
  const a: BackgroundWorker = backgroundWorker(() => {}, {
    ...options,
    name: 'a',
    beforeStop: (): unknown => b.stop(),
  });
  const b: BackgroundWorker = backgroundWorker(() => {}, {
    ...options,
    name: 'b',
    beforeStop: (): unknown => a.stop(),
  });
  a.start();
  b.start();
  expect(await a.stop()).toBe(true);
  await b.ended;
});

it('what a hook has left behind waits for the end', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const stopped = new Promise((resolve) => {
    const worker = backgroundWorker(() => {}, {
      name: 'left',
      type: 'loop',
      supervisor,
      event: true,
      afterStart: () => {
        setTimeout(async () => {
          await worker.stop();
          resolve(worker.isStopped);
        }, 1);
      },
    });
    worker.start();
  });
  expect(await stopped).toBe(true);
});

describe('a run', () => {
  it.each(['loop', 'thread', 'process'] as const)('that awaits the stop of its worker goes on: %s', async (type) => {
    const worker = stopsItself[type];
    const run = heard(taskSupervisor, 'task:completed', ({ task }) => task.worker === worker.name);
    worker.start();
    expect((await run).result).toBe('stop() gave true');
    await worker.ended;
  });

  it('on the event loop that awaits the stop of its supervisor goes on', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const results: unknown[] = [];
    const options = {
      name: 'run',
      type: 'loop',
      supervisor,
      processResult: (result: unknown) => void results.push(result),
    } as const;
    backgroundWorker(async () => (await supervisor.stop()).canceled, options).start();
    expect(await supervisor.block()).toMatchObject({ finished: 1, canceled: 0 });
    expect(results).toEqual([0]);
  });
});

describe('a task on the event loop', () => {
  it('may give the end of its supervisor, or of its worker, as its result', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const run = (): unknown => worker.stop();
    const worker: BackgroundWorker = backgroundWorker(run, { name: 'own', type: 'loop', supervisor });
    worker.start();
    await worker.ended;
    const handle = backgroundTask(() => supervisor.stop(), { name: 'stops', type: 'loop', supervisor })();
    expect(await supervisor.block()).toMatchObject({ canceled: 0 });
    expect(await handle).toMatchObject({ canceled: 0 });
  });

  it('that awaits the stop of its supervisor goes on, and that stops after it', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const stops = backgroundTask(
      async () => {
        const { finished } = await supervisor.stop();
        return finished;
      },
      { name: 'stops', type: 'loop', supervisor },
    );
    const handle = stops();
    const report = await supervisor.block();
    expect(await handle).toBe(0);
    expect(report).toMatchObject({ finished: 1, canceled: 0 });
  });

  it('that stops its supervisor at once is canceled, and waits until it has stopped', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const stops = backgroundTask(
      async () => {
        const { signal } = currentTask();
        await supervisor.stop({ wait: false });
        return [signal.aborted, supervisor.state];
      },
      { name: 'stops', type: 'loop', supervisor },
    );
    const handle = stops();
    expect(await supervisor.block()).toMatchObject({ finished: 0 });
    await expect(handle).rejects.toMatchObject({ code: 'TASK_CANCELED' });
  });
});
