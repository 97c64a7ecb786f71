/** Events that listeners cause while they are called for another event. */
import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';

const task = backgroundTask((n: number) => n, { name: 'task', type: 'loop' });
const dayMs = 24 * 60 * 60 * 1_000;

it('cancels thousands of tasks, each in the listener of the event of the one before', async () => {
  const problems: string[] = [];
  const logger = { debug() {}, info() {}, warn() {}, error: (line: string) => void problems.push(line) };
  await using supervisor = new TaskSupervisor({ logger });
  const handles = Array.from({ length: 20_000 }, (_, n) => task.with({ supervisor, delayMs: dayMs })(n));
  const rest = handles.values();
  const heard: string[] = [];
  supervisor.on('task:canceled', ({ task: { id } }) => {
    heard.push(id);
    rest.next().value?.cancel();
  });
  rest.next().value?.cancel();
  expect(heard).toEqual(handles.map(({ id }) => id));
  expect(await failure(handles.at(-1) as PromiseLike<unknown>)).toMatchObject({ code: 'TASK_CANCELED' });
  expect(problems).toEqual([]);
  expect(supervisor.getInfo()).toMatchObject({ pending: 0, delayed: 0, ended: { canceled: 20_000 } });
});

it('all listeners get events in the order in which they happened', async () => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const other = task.with({ supervisor, delayMs: dayMs })(2);
  const heard: string[][] = [[], []];
  supervisor.on('task:queued', ({ task: { id } }) => {
    heard[0]?.push(`queued ${id}`);
    other.cancel();
    expect(other.status).toBe('canceled');
  });
  supervisor.on('task:queued', ({ task: { id } }) => heard[1]?.push(`queued ${id}`));
  for (const each of heard) supervisor.on('task:canceled', ({ task: { id } }) => each.push(`canceled ${id}`));
  const first = task.with({ supervisor })(1);
  expect(heard[0]).toEqual([`queued ${first.id}`, `canceled ${other.id}`]);
  expect(heard[1]).toEqual(heard[0]);
  await first;
});

it('a supervisor that a listener stops has ended, though an event was not emitted yet', async () => {
  const supervisor = new TaskSupervisor({ logger: false });
  const [first, second] = [1, 2].map((n) => task.with({ supervisor, delayMs: dayMs })(n));
  let stopped: Promise<unknown> | undefined;
  supervisor.once('task:canceled', () => {
    second?.cancel();
    stopped = supervisor.stop({ wait: false });
  });
  first?.cancel();
  await stopped;
  expect(supervisor.getInfo()).toMatchObject({ state: 'stopped', pending: 0, ended: { canceled: 2 } });
});
