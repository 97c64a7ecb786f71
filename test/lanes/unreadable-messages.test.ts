/** What one side can say and the other can't hear: too deep for its stack, or said to what has ended. */
import { type SupervisorOptions, TaskSupervisor, type TaskType } from 'taskwarden';
import { describe, expect, it, onTestFinished } from 'vitest';
import { failure, heard, interceptWarnings } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { deep, hearsDeep, leavesListening, returnsDeep, sendsDeep } from '../fixtures/tasks/deep.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { neverLoads } from '../fixtures/tasks/hangs-while-loading.ts';
import { Gate } from '../fixtures/tasks/holds.ts';

const types = ['thread', 'process'] as const;
/** More than the main thread's stack can copy, and less than four times that can. */
const levels = 6_000;

const shared = new SharedSupervisors();

function optionsOf(stackSizeMb?: number): SupervisorOptions {
  const one = {
    poolSize: 1,
    reserveNormal: 0,
    reserveHigh: 0,
    ...(stackSizeMb && { resourceLimits: { stackSizeMb } }),
  };
  return { threads: one, processes: one, logger: false };
}

/** Its thread and its child may have run tasks of other tests. */
function supervise(stackSizeMb?: number): TaskSupervisor {
  return shared.take(optionsOf(stackSizeMb));
}

/** A task that comes next gets its own result. */
async function expectNextIsWell(supervisor: TaskSupervisor, type: TaskType): Promise<void> {
  expect(await echo.with({ supervisor, type })('mine')).toBe('mine');
}

describe.each(types)('what can not be read that comes from a %s', (type) => {
  it('as a result fails its task, and no other', async () => {
    await using supervisor = supervise(4);
    const handle = returnsDeep.with({ supervisor, type })(levels);
    expect(await failure(handle)).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
    await expectNextIsWell(supervisor, type);
  });

  it('as a message is refused as the task sends it, and its result is not taken for that of the next', async () => {
    await using supervisor = supervise(4);
    await using gate = await Gate.create();
    const handle = sendsDeep.with({ supervisor, type })(levels, gate.port);
    const next = echo.with({ supervisor, type })('mine');
    expect(await failure(handle)).toMatchObject({ code: 'MESSAGE_NOT_CLONEABLE' });
    gate.open();
    expect(await next).toBe('mine');
  });
});

describe.each(types)('arguments that a %s can not read', (type) => {
  const unread = { code: 'ARGUMENT_NOT_CLONEABLE' };

  it('fail their task, and no other, whether the definition came with them or was there', async () => {
    await using supervisor = new TaskSupervisor(optionsOf(0.5));
    const send = echo.with({ supervisor, type });
    for (let round = 0; round < 2; round += 1) {
      expect(await failure(send(deep(2_500)))).toMatchObject(unread);
      expect(await send(round)).toBe(round);
    }
    expect(supervisor.getInfo()[type === 'thread' ? 'threads' : 'processes'].size).toBe(1);
  });

  it.each(['first', 'last'])('fail their task alone, the %s of those of one batch', async (place) => {
    await using supervisor = supervise(0.5);
    const send = echo.with({ supervisor, type });
    const all = (args: (n: number) => unknown) =>
      Promise.allSettled(Array.from({ length: 30 }, (_, n) => send(args(n))));
    await all((n) => n);
    const bad = place === 'first' ? 1 : 29;
    const ends = await all((n) => (n === bad ? deep(2_500) : { n }));
    for (const [n, end] of ends.entries()) {
      if (n === bad) expect(end).toMatchObject({ status: 'rejected', reason: unread });
      else expect(end).toEqual({ status: 'fulfilled', value: { n } });
    }
    await expectNextIsWell(supervisor, type);
  });

  it('fail their task alone if they throw as they are looked at', async () => {
    await using supervisor = supervise();
    const send = echo.with({ supervisor, type });
    await Promise.all(Array.from({ length: 60 }, (_, n) => send(n)));
    /** As a draft is that is over when its task starts. */
    const draft = (n: number) => {
      const { proxy, revoke } = Proxy.revocable({ n }, {});
      queueMicrotask(revoke);
      return proxy;
    };
    const ends = await Promise.allSettled(Array.from({ length: 60 }, (_, n) => send(n % 20 === 7 ? draft(n) : { n })));
    for (const [n, end] of ends.entries()) {
      if (n % 20 === 7) expect(end).toMatchObject({ status: 'rejected', reason: unread });
      else expect(end).toEqual({ status: 'fulfilled', value: { n } });
    }
  });
});

it('arguments that do not fit into the heap of a thread fail their task as crashed, and no other', async () => {
  const one = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, resourceLimits: { maxOldGenerationSizeMb: 16 } };
  await using supervisor = new TaskSupervisor({ threads: one, logger: false });
  const send = echo.with({ supervisor });
  await Promise.all(Array.from({ length: 30 }, (_, n) => send(n)));
  const much = Array.from({ length: 400 }, (_, n) => `${n}`.padEnd(100_000));
  const handles = [{ n: 1 }, much, { n: 2 }].map((value) => send(value));
  expect(await failure(handles[1] as (typeof handles)[0])).toMatchObject({ code: 'TASK_CRASHED' });
  expect(await handles[0]).toEqual({ n: 1 });
  expect(await handles[2]).toEqual({ n: 2 });
}, 90_000);

it('a WebAssembly module, which a child can not read, fails its task and no other', async () => {
  await using supervisor = supervise();
  const send = echo.with({ supervisor, type: 'process' });
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { Module: new (code: Uint8Array) => object } };
  const wasm = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  expect(await send(1)).toBe(1);
  expect(await failure(send(wasm))).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
  expect(await send(2)).toBe(2);
});

describe.each(types)('a message that a %s can not read', (type) => {
  it('is lost, and its task runs once', async () => {
    const warnings = interceptWarnings();
    onTestFinished(warnings.restore);
    await using supervisor = supervise(0.5);
    await echo.with({ supervisor, type })('warm');
    const handle = hearsDeep.with({ supervisor, type })();
    await heard(supervisor, 'task:started', ({ task }) => task.id === handle.id);
    void handle.send(deep(2_500));
    expect(await failure(handle.send(deep(2_500), { untilTaken: true }))).toMatchObject({
      code: 'MESSAGE_NOT_CLONEABLE',
    });
    expect(await handle.send('after', { untilTaken: true })).toBe(true);
    void handle.send(null);
    expect(await handle).toBe(1);
    expect(handle.info.attempt).toBe(1);
    expect(warnings.codes).toEqual(['MESSAGE_NOT_CLONEABLE']); // of the one that nobody awaits
  });
});

it.each(types)('code that a task has left in its %s does not wait for messages for ever', async (type) => {
  await using supervisor = supervise();
  expect(await leavesListening.with({ supervisor, type })()).toBe('left');
  await expectNextIsWell(supervisor, type);
});

it.each(types)(
  'a task in a %s whose module does not end loading expires, and gives its place to the next',
  async (type) => {
    await using supervisor = supervise();
    await echo.with({ supervisor, type })('warm');
    const handle = neverLoads.with({ supervisor, type, queueTimeoutMs: 200, stopGraceMs: 50 })();
    expect(await failure(handle)).toMatchObject({ code: 'TASK_EXPIRED' });
    await expectNextIsWell(supervisor, type);
  },
);
