import { describe, expect, it, vi } from 'vitest';
import { resolveTaskOptions, type TaskOptions } from '../../src/task/call/task-options.ts';
import { becomeHost, onModuleWait } from '../../src/task/definition/load-phase.ts';
import type { RunningTask } from '../../src/task/inside/context.ts';
import { submitFrom } from '../../src/task/inside/sub-task.ts';
import type { ChildUpdate, TaskMessage } from '../../src/task/inside/task-message.ts';

/** A task as its own lane sees it: keeps what it posts, and receives the updates of the test. */
function running() {
  const sent: TaskMessage[] = [];
  const listeners = new Map<string, (update: ChildUpdate) => void>();
  const run: Pick<RunningTask, 'name' | 'hasEnded' | 'post' | 'hasChild' | 'addChild'> = {
    name: 'parent',
    hasEnded: false,
    post: (message) => sent.push(message),
    hasChild: (id) => listeners.has(id),
    addChild: (id, onUpdate) => listeners.set(id, onUpdate),
  };
  function submit(options: TaskOptions<never> = {}) {
    const definition = { index: 1, name: 'child', moduleUrl: 'file:///child.js' };
    const handle = submitFrom(run as RunningTask, { definition, options: resolveTaskOptions(options, 'test') }, []);
    const sendUpdate = (update: ChildUpdate) => listeners.get(handle.id)?.(update);
    return { handle, sendUpdate };
  }
  return { sent, submit };
}

describe('a task called in a thread or child', () => {
  it('starts again where its thread died before the function began', () => {
    const { handle, sendUpdate } = running().submit();
    sendUpdate({ kind: 'started', hostId: 1 });
    sendUpdate({ kind: 'started', hostId: 2 });
    expect(handle.info).toMatchObject({ status: 'started', attempt: 1, threadId: 2 });
  });

  it('completes after another attempt', async () => {
    const { handle, sendUpdate } = running().submit();
    sendUpdate({ kind: 'started', hostId: 1 });
    sendUpdate({ kind: 'retried' });
    expect(handle.status).toBe('delayed');
    sendUpdate({ kind: 'started', hostId: 1 });
    sendUpdate({ kind: 'ended', endReason: 'completed', outcome: 7 });
    expect(await handle).toBe(7);
    expect(handle.info.attempt).toBe(2);
  });

  it('tells only the task that called it that it is awaited', () => {
    const { sent, submit } = running();
    const { handle } = submit();
    void handle.then(() => {}); // outside of the task
    expect(sent.map(({ topic }) => topic)).toEqual(['submit']);
  });

  it('keeps no module from loading, by its failure and by who waits for it', async () => {
    becomeHost();
    const waits = vi.fn();
    onModuleWait(waits);
    const { handle, sendUpdate } = running().submit();
    const caught = handle.catch((error: unknown) => error); // outside of the task
    sendUpdate({ kind: 'started', hostId: 1 });
    sendUpdate({ kind: 'ended', endReason: 'failed', outcome: 'broken' });
    expect(await caught).toBe('broken');
    expect(waits).not.toHaveBeenCalled();
  });
});
