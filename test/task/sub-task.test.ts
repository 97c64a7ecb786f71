import { describe, expect, it } from 'vitest';
import { resolveTaskOptions, type TaskOptions } from '../../src/task/call/task-options.ts';
import type { RunningTask } from '../../src/task/inside/context.ts';
import { submitFrom } from '../../src/task/inside/sub-task.ts';
import type { TaskNews, TaskWord } from '../../src/task/inside/task-message.ts';

/** A task as its own lane sees it: keeps what it says, and hears what the test tells. */
function running() {
  const said: TaskWord[] = [];
  const listeners = new Map<string, (news: TaskNews) => void>();
  const run: Pick<RunningTask, 'name' | 'hasEnded' | 'say' | 'hasCalled' | 'adopt'> = {
    name: 'parent',
    hasEnded: false,
    say: (word) => said.push(word),
    hasCalled: (id) => listeners.has(id),
    adopt: (id, hear) => listeners.set(id, hear),
  };
  function submit(options: TaskOptions<never> = {}) {
    const definition = { index: 1, name: 'child', moduleUrl: 'file:///child.js' };
    const handle = submitFrom(run as RunningTask, { definition, options: resolveTaskOptions(options, 'test') }, []);
    const tell = (news: TaskNews) => listeners.get(handle.id)?.(news);
    return { handle, tell };
  }
  return { said, submit };
}

describe('a task called in a thread or child', () => {
  it('starts again where its thread died before the function began', () => {
    const { handle, tell } = running().submit();
    tell({ kind: 'started', hostId: 1 });
    tell({ kind: 'started', hostId: 2 });
    expect(handle.info).toMatchObject({ status: 'started', attempt: 1, threadId: 2 });
  });

  it('completes after another attempt', async () => {
    const { handle, tell } = running().submit();
    tell({ kind: 'started', hostId: 1 });
    tell({ kind: 'retried' });
    expect(handle.status).toBe('delayed');
    tell({ kind: 'started', hostId: 1 });
    tell({ kind: 'ended', endReason: 'completed', outcome: 7 });
    expect(await handle).toBe(7);
    expect(handle.info.attempt).toBe(2);
  });

  it('says that it is awaited only to those who run it', () => {
    const { said, submit } = running();
    const { handle } = submit();
    void handle.then(() => {}); // outside of the task
    expect(said.map(({ topic }) => topic)).toEqual(['submit']);
  });
});
