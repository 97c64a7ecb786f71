/** Several machines, which are processes here, with a real Redis between them: calls, items, schedules, and their health. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { TaskSupervisor, viaCourier } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { compiledProgram } from '../compiled-tasks.ts';
import { failure } from '../fixtures/listening.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { answers, collects, countsWhatItTells, waitsUntilStopped } from '../fixtures/tasks/talks.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';

const program = compiledProgram('machine');

/** What a machine tells. */
interface Told {
  readonly ready?: true;
  readonly canceled?: string;
  readonly tick?: string;
  readonly workers?: readonly { readonly name: string; readonly timeFetched?: number }[];
}

class Machine {
  readonly child: ChildProcess;
  readonly told: Told[] = [];

  constructor(...args: readonly string[]) {
    this.child = fork(program, args, { execArgv: [] });
    this.child.on('message', (told: Told) => this.told.push(told));
  }

  /** The first thing told of that kind. */
  async hears<K extends keyof Told>(kind: K): Promise<Told[K]> {
    for (;;) {
      const found = this.told.find((told) => kind in told);
      if (found !== undefined) return found[kind];
      await once(this.child, 'message');
    }
  }

  get ticks(): string[] {
    return this.told.flatMap(({ tick }) => (tick === undefined ? [] : [tick]));
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.disconnect();
    await exited;
  }
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

async function start(prefix: string, scheduled = ''): Promise<Machine> {
  const machine = new Machine(redis.url, prefix, scheduled);
  await machine.hears('ready');
  return machine;
}

describe('calls that another machine performs', () => {
  let courier: BullMQTaskCourier;
  let supervisor: TaskSupervisor;
  let machine: Machine;

  beforeAll(async () => {
    machine = await start('calls');
    courier = new BullMQTaskCourier(redis.url, { prefix: 'calls' });
    supervisor = new TaskSupervisor({ logger: false });
  });
  afterAll(async () => {
    await supervisor?.stop();
    await courier?.close();
    await machine?.end();
  });

  it('give their result, or what they failed with', async () => {
    const far = viaCourier(courier, 'calls', echo).with({ supervisor });
    expect(await far({ a: [1, null] })).toEqual({ a: [1, null] });
    const refused = await failure(far(() => {}));
    expect(refused).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE', message: expect.stringContaining('args[0]') });
  });

  it('tell their progress and send messages, in order', async () => {
    const handle = viaCourier(courier, 'calls', countsWhatItTells).with({ supervisor })(3);
    const progress: number[] = [];
    handle.onProgress(({ fraction }) => progress.push(fraction));
    const messages: unknown[] = [];
    for await (const message of handle.messages()) messages.push(message);
    expect(await handle).toBe(3);
    expect(messages).toEqual([0, 1, 2]);
    expect(progress.length).toBeGreaterThan(0);
    expect(handle.status).toBe('completed');
  });

  it('get what they are sent, and finish when they are asked to', async () => {
    const talk = viaCourier(courier, 'calls', answers).with({ supervisor })();
    await talk.send('a');
    await talk.send('b');
    const heard: unknown[] = [];
    for await (const message of talk.messages()) {
      heard.push(message);
      if (message === 'b') await talk.send(null);
    }
    expect([heard, await talk]).toEqual([['a', 'b'], 'over']);
    const collecting = viaCourier(courier, 'calls', collects).with({ supervisor })();
    await collecting.send(1);
    await collecting.stop();
    expect(await collecting).toEqual([1]);
  });

  it('are canceled there, while they run', async () => {
    const handle = viaCourier(courier, 'calls', waitsUntilStopped).with({ supervisor })();
    const failed = failure(handle);
    await new Promise<void>((resolve) => handle.onProgress(() => resolve()));
    handle.cancel('no need');
    expect(await failed).toMatchObject({ code: 'TASK_CANCELED' });
    expect(await machine.hears('canceled')).toBe('waitsUntilStopped');
  });

  it('are items of queue workers, too, which tell when their server has last answered', async () => {
    const before = Date.now();
    const ids = await courier.bulkAddTasksToQueue('items', [1, 2, 3]);
    expect(await Promise.all(ids.map((id) => courier.waitForTaskResult('items', id)))).toEqual([2, 4, 6]);
    machine.child.send('how are you');
    const workers = await machine.hears('workers');
    expect(workers?.find(({ name }) => name === 'items')?.timeFetched).toBeGreaterThanOrEqual(before - 10_000);
  });
});

it('a schedule fires once for all machines, also after one of them has died', async () => {
  const machines = await Promise.all([1, 2, 3].map(() => start('schedules', '200')));
  onTestFinished(async () => void (await Promise.all(machines.map((machine) => machine.end()))));
  const all = () => machines.flatMap(({ ticks }) => ticks);
  const untilTicks = async (count: number) => {
    while (new Set(all()).size < count) await Promise.race(machines.map(({ child }) => once(child, 'message')));
  };
  await untilTicks(5);
  const [dead] = machines as [Machine];
  dead.child.kill('SIGKILL');
  await once(dead.child, 'exit');
  await untilTicks(new Set(all()).size + 5);
  const twice = all().filter((tick, n, ticks) => ticks.indexOf(tick) !== n);
  expect(twice.filter((tick) => !dead.ticks.includes(tick))).toEqual([]); // what it had not returned is done again
  expect(twice.length).toBeLessThanOrEqual(1);
  const times = [...new Set(all())].map((tick) => Number(tick.split('@')[1]));
  expect(times.every((time) => time % 200 === 0)).toBe(true);
});
