/** A child says what it likes: code in it may write to its pipes. That ends it, and nothing else. */
import { TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { frame, serialize, times } from '../../src/lanes/wire/frames.ts';
import { failure } from '../fixtures/listening.ts';
import { damages, makesSocket, patches } from '../fixtures/tasks/damages.ts';
import { echo } from '../fixtures/tasks/echo.ts';

const type = 'process';

const forged = {
  text: [Buffer.from('sd_notify READY=1')],
  'one byte': [Buffer.from('x')],
  'an end without its times': frame('ended', 0),
  'an item that is none': frame('begun', 2 ** 32 - 1, times(1)),
  'an end of another batch': frame('ended', 7, times(1, 2)),
  'a result of what runs': frame('reply', 0, serialize({ kind: 'result', item: 0, value: 'forged' })),
  'no reply': frame('reply', 0, serialize(null)),
  'no error': frame('reply', 0, serialize({ kind: 'thrown', item: 0, error: 5 })),
  'the end of a batch that runs': frame('reply', 0, serialize({ kind: 'done', end: 1 })),
  'what a lane says': frame('recall', 3),
} as const;

function superviseOne(): TaskSupervisor {
  return new TaskSupervisor({ processes: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 }, logger: false });
}

describe('a child whose pipes are written to', () => {
  it.each(Object.entries(forged))('fails its task with the cause, and no other: %s', async (_, parts) => {
    await using supervisor = superviseOne();
    const handle = damages.with({ supervisor, type })(4, Buffer.concat(parts));
    const next = echo.with({ supervisor, type })('mine');
    const error = (await failure(handle)) as Error;
    expect(error).toMatchObject({ code: 'TASK_CRASHED', cause: expect.any(Error) });
    expect(error.message).toContain("what it sent can't be taken");
    expect(await next).toBe('mine');
  });

  it('is found out on the pipe of the guard, too', async () => {
    await using supervisor = superviseOne();
    const error = (await failure(damages.with({ supervisor, type })(3, Buffer.concat(forged.text), true))) as Error;
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
