/** One task of a definition and key at a time: join, refuse, replace. */
import { backgroundTask, currentTask, type TaskOptions, TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { joinsFromInside, joinsItself } from '../fixtures/tasks/keyed.ts';

function supervise(): TaskSupervisor {
  return new TaskSupervisor({
    threads: { poolSize: 1 },
    loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 },
    logger: false,
  });
}

/** A task on the loop that ends when told, and counts its runs. */
function counting(supervisor: TaskSupervisor, options: TaskOptions) {
  const runs: string[] = [];
  let open: () => void = () => {};
  let isOpen = false;
  const task = backgroundTask(
    async (what: string) => {
      runs.push(what);
      if (what === 'fails') throw new Error('failed');
      if (!isOpen) {
        await new Promise<void>((resolve) => {
          open = resolve;
          currentTask().signal.addEventListener('abort', () => resolve());
        });
      }
      return `${what} ${runs.length}`;
    },
    { name: 'counting', type: 'loop' },
  );
  return {
    runs,
    task: task.with({ supervisor, key: (what) => what.slice(0, 1), ...options } as TaskOptions) as typeof task,
    open: () => {
      isOpen = true;
      open();
    },
  };
}

describe('join', () => {
  it('gives each caller a handle of the same task, with its result', async () => {
    await using supervisor = supervise();
    const { task, runs, open } = counting(supervisor, { unique: 'join' });
    const handles = [task('a1'), task('a2'), task('b')];
    expect(handles[0]).not.toBe(handles[1]);
    expect(handles[0]?.id).toBe(handles[1]?.id);
    expect(supervisor.getInfo()).toMatchObject({ submitted: 2, pending: 2 });
    await heard(supervisor, 'task:started');
    open();
    expect(await Promise.all(handles)).toEqual(['a1 1', 'a1 1', 'b 2']);
    expect(runs).toEqual(['a1', 'b']);
    expect(handles.map(({ status, result }) => [status, result])).toEqual([
      ['completed', 'a1 1'],
      ['completed', 'a1 1'],
      ['completed', 'b 2'],
    ]);
    expect(await task('a3')).toBe('a3 3');
  });

  it('lets each caller cancel for itself, and the last one cancels the task', async () => {
    await using supervisor = supervise();
    const { task, open, runs } = counting(supervisor, { unique: 'join' });
    const [first, second, third] = [task('a1'), task('a2'), task('a3')];
    expect([first.cancel('no need'), first.cancel('again')]).toEqual([true, false]);
    expect([first.status, first.done, first.info.status, second.status]).toEqual([
      'canceled',
      true,
      'canceled',
      'queued',
    ]);
    expect(await failure(first)).toMatchObject({ code: 'TASK_CANCELED', cause: 'no need' });
    expect(third.cancel()).toBe(true);
    expect(await failure(third)).toMatchObject({ code: 'TASK_CANCELED' });
    open();
    expect(await second).toBe('a1 1');
    const [fourth, fifth] = [task('a4'), task('a5')];
    fifth.cancel();
    fourth.cancel();
    expect(await failure(fourth)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(runs).toEqual(['a1']);
    expect(supervisor.getInfo()).toMatchObject({ pending: 0, submitted: 2 });
  });

  it('lets the first caller leave, too, if its own call would have refused or replaced others', async () => {
    for (const unique of ['refuse', 'replace'] as const) {
      await using supervisor = supervise();
      const { task, open } = counting(supervisor, { unique });
      const first = task('a1');
      const second = task.with({ unique: 'join' })('a2');
      expect(first.cancel()).toBe(true);
      expect(await failure(first)).toMatchObject({ code: 'TASK_CANCELED' });
      open();
      expect(await second).toBe('a1 1');
    }
  });

  it('ends all with the failure of the task, calls all callbacks, and listens to each signal', async () => {
    await using supervisor = supervise();
    const results: string[] = [];
    const { task, open } = counting(supervisor, {
      unique: 'join',
      callback: ((result: string) => results.push(result)) as never,
    });
    const failing = [task('fails'), task('fails')];
    for (const handle of failing) expect(await failure(handle)).toMatchObject({ message: 'failed' });
    const abort = new AbortController();
    const [kept, left] = [task('a'), task.with({ signal: abort.signal })('a')];
    const other = task('a');
    abort.abort('left');
    expect(await failure(left)).toMatchObject({ code: 'TASK_CANCELED', cause: 'left' });
    open();
    expect(await Promise.all([kept, other])).toEqual(['a 2', 'a 2']);
    expect(results).toEqual(['a 2', 'a 2']);
  });

  it('keeps the result for uniqueForMs, and no failure', async () => {
    await using supervisor = supervise();
    const { task, open, runs } = counting(supervisor, { unique: 'join', uniqueForMs: 60_000 });
    open();
    expect([await task('a1'), await task('a2')]).toEqual(['a1 1', 'a1 1']);
    await failure(task('fails'));
    await failure(task('fails'));
    expect(runs).toEqual(['a1', 'fails', 'fails']);
    const briefly = counting(supervisor, { unique: 'join', uniqueForMs: 1 });
    briefly.open();
    await briefly.task('a1');
    await expect.poll(() => briefly.task('a2')).toBe('a2 2');
  });

  it('works inside threads, whose slot it lends, and never lets a task wait for itself', async () => {
    await using supervisor = supervise();
    expect(await joinsFromInside.with({ supervisor })('a')).toEqual(['a', 'a', 'a']);
    expect(await failure(joinsItself.with({ supervisor })('a'))).toMatchObject({ code: 'TASK_EXISTS' });
    expect(supervisor.getInfo().pending).toBe(0);
  });

  it('ends with its supervisor', async () => {
    const supervisor = supervise();
    const { task } = counting(supervisor, { unique: 'join' });
    const handles = [task('a'), task('a')];
    await heard(supervisor, 'task:started');
    await supervisor.stop({ wait: false });
    for (const handle of handles) expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
  });
});

describe('refuse', () => {
  it('rejects a second one, with the id of the first', async () => {
    await using supervisor = supervise();
    const { task, open } = counting(supervisor, { unique: 'refuse' });
    const first = task('a1');
    expect(await failure(task('a2'))).toMatchObject({ code: 'TASK_EXISTS', taskId: first.id });
    open();
    await first;
    expect(await task('a3')).toBe('a3 2');
  });

  it('while waiting, takes another as soon as the first has started', async () => {
    await using supervisor = supervise();
    const { task, open, runs } = counting(supervisor, { unique: 'refuse', uniqueWhile: 'waiting' });
    const first = task('a1');
    await heard(supervisor, 'task:started');
    const second = task('a2');
    expect(await failure(task('a3'))).toMatchObject({ code: 'TASK_EXISTS', taskId: second.id });
    open();
    await Promise.all([first, second]);
    expect(runs).toEqual(['a1', 'a2']);
  });
});

describe('replace', () => {
  it('cancels the one that waits, and takes its place', async () => {
    await using supervisor = supervise();
    const { task, open, runs } = counting(supervisor, { unique: 'replace' });
    const running = task('x');
    await heard(supervisor, 'task:started');
    const [old, next, young] = [task('a1'), task('b'), task('a2')];
    expect(await failure(old)).toMatchObject({ code: 'TASK_REPLACED', taskId: old.id });
    expect(old.info).toMatchObject({ status: 'canceled', endReason: 'canceled' });
    open();
    await Promise.all([running, next, young]);
    expect(runs).toEqual(['x', 'a2', 'b']);
  });

  it('leaves one that runs, and with a delay waits until nobody calls any more', async () => {
    await using supervisor = supervise();
    const { task, open, runs } = counting(supervisor, { unique: 'replace', delayMs: 20 });
    open();
    const handles = ['a1', 'a2', 'a3'].map((what) => task(what));
    expect(await Promise.allSettled(handles)).toMatchObject([
      { reason: { code: 'TASK_REPLACED' } },
      { reason: { code: 'TASK_REPLACED' } },
      { value: 'a3 1' },
    ]);
    expect(runs).toEqual(['a3']);
  });

  it('needs no room where it frees one', async () => {
    await using supervisor = new TaskSupervisor({
      maxQueued: 1,
      loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 },
      logger: false,
    });
    const { task, open } = counting(supervisor, { unique: 'replace' });
    const running = task('x');
    await heard(supervisor, 'task:started');
    const [old, young] = [task('a1'), task('a2')];
    expect(await failure(old)).toMatchObject({ code: 'TASK_REPLACED' });
    expect(await failure(task('b'))).toMatchObject({ code: 'QUEUE_FULL' });
    expect(await failure(task('b'))).toMatchObject({ code: 'QUEUE_FULL' });
    open();
    await Promise.all([running, young]);
  });
});

it('all() takes none, since its inputs have no handles', async () => {
  await using supervisor = supervise();
  const { task } = counting(supervisor, { unique: 'join' });
  expect(() => task.all([['a']])).toThrow(/takes no option "unique"/);
});
