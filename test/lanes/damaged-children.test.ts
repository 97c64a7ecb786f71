/** A child says what it likes: code in it may write to its pipes. That ends it, and nothing else. */
import { TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { damages, forgeries, makesSocket, patches } from '../fixtures/tasks/damages.ts';
import { echo } from '../fixtures/tasks/echo.ts';

const type = 'process';

function superviseOne(): TaskSupervisor {
  return new TaskSupervisor({ processes: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 }, logger: false });
}

describe('a child whose pipes are written to', () => {
  it.each(forgeries)('fails its task with the cause, and no other: %s', async (what) => {
    await using supervisor = superviseOne();
    const handle = damages.with({ supervisor, type })(4, what);
    const next = echo.with({ supervisor, type })('mine');
    const error = (await failure(handle)) as Error;
    expect(error).toMatchObject({ code: 'TASK_CRASHED', cause: expect.any(Error) });
    expect(error.message).toContain("what it sent can't be taken");
    expect(await next).toBe('mine');
  });

  it('is found out on the pipe of the guard, too', async () => {
    await using supervisor = superviseOne();
    const error = (await failure(damages.with({ supervisor, type })(3, 'text', true))) as Error;
    expect(error.message).toContain('write nothing there');
    expect(await echo.with({ supervisor, type })('mine')).toBe('mine');
  });
});

describe('a child whose surroundings a task has changed', () => {
  it('writes all though its pipe does not block any more', async () => {
    await using supervisor = superviseOne();
    expect(await makesSocket.with({ supervisor, type })(300_000)).toHaveLength(300_000);
    expect(await echo.with({ supervisor, type })('mine')).toBe('mine');
  });

  it('does not need the functions that a task has replaced', async () => {
    await using supervisor = superviseOne();
    expect(await patches.with({ supervisor, type })()).toBe('patched');
    expect(await echo.with({ supervisor, type })('a'.repeat(300_000))).toHaveLength(300_000);
    expect(await echo.with({ supervisor, type })([1])).toEqual([1]);
  });
});
