/** What one side can say and the other can't hear: too deep for its stack, or said to what has ended. */
import { TaskSupervisor, type TaskType } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { deep, hearsDeep, leavesListening, returnsDeep, sendsDeep } from '../fixtures/tasks/deep.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { neverLoads } from '../fixtures/tasks/hangs-while-loading.ts';
import { Gate } from '../fixtures/tasks/holds.ts';
import { failure, heard } from './listening.ts';

const types = ['thread', 'process'] as const;
/** More than the main thread's stack can copy, and less than four times that can. */
const levels = 6_000;

function supervise(stackSizeMb?: number): TaskSupervisor {
  const one = {
    poolSize: 1,
    reserveNormal: 0,
    reserveHigh: 0,
    ...(stackSizeMb && { resourceLimits: { stackSizeMb } }),
  };
  return new TaskSupervisor({ threads: one, processes: one, logger: false });
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

  it('as a message fails its task, whose result is not taken for that of the next', async () => {
    await using supervisor = supervise(4);
    await using gate = await Gate.create();
    const handle = sendsDeep.with({ supervisor, type })(levels, gate.port);
    const next = echo.with({ supervisor, type })('mine');
    expect(await failure(handle)).toMatchObject({ code: 'RESULT_NOT_CLONEABLE' });
    gate.open();
    expect(await next).toBe('mine');
  });
});

describe.each(types)('a message that a %s can not read', (type) => {
  it('is lost, and its task runs once', async () => {
    await using supervisor = supervise(0.5);
    await echo.with({ supervisor, type })('warm');
    const handle = hearsDeep.with({ supervisor, type })();
    await heard(supervisor, 'task:started', ({ task }) => task.id === handle.id);
    void handle.send(deep(2_500));
    void handle.send(null);
    expect(await handle).toBe(1);
    expect(handle.info.attempt).toBe(1);
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
