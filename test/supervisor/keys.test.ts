/** The key of a task: where it comes from, where it is seen, and what becomes of a task whose key fails. */
import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { callsKeyed } from '../fixtures/tasks/keyed.ts';

const page = backgroundTask(async (url: string, _size: number) => url, { name: 'page', type: 'loop' });

it('is a text, or what a function makes of the arguments, and is seen in infos, events and filters', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const queued: unknown[] = [];
  supervisor.on('task:queued', ({ task }) => queued.push(task.key));
  const byUrl = page.with({ supervisor, key: (url) => url });
  const [first, second] = [byUrl('a', 1), page.with({ supervisor, key: 'all' })('b', 2)];
  const third = page.with({ supervisor })('c', 3);
  await Promise.all([first, second, third]);
  expect([first, second, third].map(({ info }) => info.key)).toEqual(['a', 'all', undefined]);
  expect(queued).toEqual(['a', 'all', undefined]);
  expect(supervisor.getTasks({ key: 'a' }).map(({ id }) => id)).toEqual([first.id]);
});

it('that fails or is no text fails its task alone, with the cause', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const cause = new Error('no tenant');
  const throws = page.with({
    supervisor,
    key: () => {
      throw cause;
    },
  });
  expect(await failure(throws('a', 1))).toMatchObject({ code: 'KEY_FAILED', cause, message: /page.*no tenant/ });
  for (const value of ['', undefined, 7, Promise.resolve('a')]) {
    const wrong = page.with({ supervisor, key: () => value as string });
    expect(await failure(wrong('a', 1))).toMatchObject({ code: 'KEY_FAILED', message: /must give a string/ });
  }
  expect(await page.with({ supervisor })('b', 2)).toBe('b');
  expect(supervisor.getInfo()).toMatchObject({ pending: 0, submitted: 1 });
});

it('is each input its own in all() and map(), and one that fails is the failure of its input', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const seen: string[] = [];
  const key = (url: string) => {
    seen.push(url);
    if (url === 'bad') throw new Error('no tenant');
    return url;
  };
  const byUrl = page.with({ supervisor, key });
  expect(
    await byUrl.all([
      ['a', 1],
      ['b', 2],
    ]),
  ).toEqual(['a', 'b']);
  expect(seen).toEqual(['a', 'b']);
  const settled = await byUrl.all(
    [
      ['a', 1],
      ['bad', 2],
      ['c', 3],
    ],
    { settle: true },
  );
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(settled[1]).toMatchObject({ reason: { code: 'KEY_FAILED' } });
  expect(
    await failure(
      byUrl.all([
        ['a', 1],
        ['bad', 2],
      ]),
    ),
  ).toMatchObject({ code: 'KEY_FAILED', index: 1 });
  const mapped: string[] = [];
  for await (const url of byUrl.map([
    ['a', 1],
    ['b', 2],
  ]))
    mapped.push(url);
  expect(mapped.sort()).toEqual(['a', 'b']);
  expect(supervisor.getInfo().pending).toBe(0);
});

it('is made in the thread that calls the task, and the function need not be sent', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const keys: unknown[] = [];
  supervisor.on('task:queued', ({ task }) => keys.push(task.key));
  expect(await callsKeyed.with({ supervisor })('a')).toBe('a');
  expect(await failure(callsKeyed.with({ supervisor })('bad'))).toMatchObject({ code: 'KEY_FAILED' });
  expect(keys).toEqual([undefined, 'key of a', undefined]);
  expect(await echo.with({ supervisor })('still there')).toBe('still there');
});
