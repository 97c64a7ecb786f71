/** Modules are loaded whole before their tasks run, in threads and children. */
import { TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { usesBelow } from '../fixtures/tasks/awaits-below.ts';
import { given } from '../fixtures/tasks/awaits-its-own.ts';
import { behind } from '../fixtures/tasks/imports-its-program.ts';
import { isAbove } from '../fixtures/tasks/throws-below.ts';

const narrow = { poolSize: 1, reserveNormal: 0, reserveHigh: 0 };

function superviseOne(): TaskSupervisor {
  return new TaskSupervisor({ logger: false, threads: narrow, processes: narrow });
}

describe.each(['thread', 'process'] as const)('in a %s, a module', (type) => {
  it('is loaded whole before its tasks run, whatever it awaits at its top level', async () => {
    await using supervisor = superviseOne();
    const both = [usesBelow, usesBelow].map((task) => task.with({ supervisor, type })());
    expect(await Promise.all(both)).toEqual(['open', 'open']);
  });

  it('is, also where another one waits for ever for a task of its own', async () => {
    await using supervisor = superviseOne();
    await given.with({ supervisor, type })();
    expect(await usesBelow.with({ supervisor, type })()).toBe('open');
    await given.with({ supervisor, type })();
  });

  it('that fails below its tasks fails them, with the cause', async () => {
    await using supervisor = superviseOne();
    for (const attempt of ['first', 'second']) {
      const error = await failure(isAbove.with({ supervisor, type })());
      expect([attempt, error]).toEqual([attempt, expect.objectContaining({ code: 'MODULE_LOAD_FAILED' })]);
      expect((error as Error).message).toMatch(/throws-below\.[jt]s.*below the task/);
      expect((error as Error).cause).toEqual(new RangeError('below the task'));
    }
  });
});

describe('a module that imports one which waits for ever', () => {
  it('is told that its tasks can not be reached, and harms no task of that', async () => {
    await using supervisor = superviseOne();
    expect(await failure(behind.with({ supervisor })())).toMatchObject({ code: 'TASK_UNREACHABLE' });
    await given.with({ supervisor })();
  });

  it('is told so where that one was loaded before', async () => {
    await using supervisor = superviseOne();
    await given.with({ supervisor })();
    expect(await failure(behind.with({ supervisor })())).toMatchObject({ code: 'TASK_UNREACHABLE' });
  });
});
