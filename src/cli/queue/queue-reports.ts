/** What `taskwarden queue` shows of queues and of their tasks. */
import { messageOf } from '../../base/foreign-value.ts';
import type { ClientTaskCourier, CourierQueueInfo, CourierTaskState, DeadLetter, ListedTask } from '../../index.ts';
import { priorities } from '../../queue/priority.ts';
import { shorten } from '../map/figures.ts';
import { jsonLine } from '../map/json-line.ts';
import type { Printer } from './printer.ts';
import { type QueueArguments, taskStates } from './queue-arguments.ts';
import { tableOf } from './table.ts';

/** What is to be done, and what has gone wrong. */
const openStates: readonly CourierTaskState[] = ['waiting', 'delayed', 'leased', 'failed'];

/** How many tasks a courier lists at once. */
const pageSize = 1_000;

export async function printInfo(
  courier: ClientTaskCourier,
  names: readonly string[],
  { json }: QueueArguments,
  printer: Printer,
): Promise<void> {
  const infos: (readonly [string, CourierQueueInfo])[] = [];
  for (const name of names) infos.push([name, await courier.getQueueInfo(name)]);
  if (json) {
    for (const [name, info] of infos) await printer.print(jsonLine({ queue: name, ...info }));
    return;
  }
  if (infos.length === 0) {
    await printer.print('there are no queues\n');
    return;
  }
  const head = ['QUEUE', ...priorities.map((priority) => priority.toUpperCase()), 'DELAYED', 'LEASED', 'FAILED', ''];
  const rows = infos.map(([name, { waiting, delayed, leased, deadLetters, isPaused }]) => [
    name,
    ...priorities.map((priority) => `${waiting[priority]}`),
    ...[delayed, leased, deadLetters].map(String),
    isPaused ? 'paused' : '',
  ]);
  await printer.print(tableOf([head, ...rows]));
}

export async function printList(
  courier: ClientTaskCourier,
  names: readonly string[],
  { state, max, json }: QueueArguments,
  printer: Printer,
): Promise<void> {
  const rows: string[][] = [];
  for (const name of names) {
    for (const each of state === undefined ? openStates : [state]) {
      for await (const task of tasksOf(courier, name, each, max)) {
        if (json) await printer.print(jsonLine({ queue: name, ...task }));
        else rows.push(rowOf(name, task));
      }
    }
  }
  if (json) return;
  const head = ['QUEUE', 'STATE', 'ID', 'NAME', 'KEY', 'PRIORITY', 'ATTEMPTS', 'QUEUED', 'ERROR'];
  await printer.print(rows.length === 0 ? 'there are no such tasks\n' : tableOf([head, ...rows]));
}

/** All tasks as lines of JSON; of dead letters their data, too. */
export async function exportTasks(
  courier: ClientTaskCourier,
  names: readonly string[],
  { state }: QueueArguments,
  printer: Printer,
): Promise<void> {
  for (const name of names) {
    for (const each of state === undefined ? taskStates : [state]) {
      if (each === 'failed') {
        for await (const letter of deadLettersOf(courier, name)) {
          await printer.print(jsonLine({ queue: name, state: each, ...letter }));
        }
      } else {
        for await (const task of tasksOf(courier, name, each, Infinity)) {
          await printer.print(jsonLine({ queue: name, ...task }));
        }
      }
    }
  }
}

/** Page by page: what moves meanwhile may be left out, or come twice. A page may be short because some have gone. */
async function* tasksOf(
  courier: ClientTaskCourier,
  name: string,
  state: CourierTaskState,
  max: number,
): AsyncGenerator<ListedTask> {
  for (let offset = 0; offset < max; offset += pageSize) {
    const wanted = Math.min(max - offset, pageSize);
    const tasks = await courier.listTasks(name, { state, offset, max: wanted });
    if (tasks.length === 0) return;
    yield* tasks;
  }
}

async function* deadLettersOf(courier: ClientTaskCourier, name: string): AsyncGenerator<DeadLetter> {
  for (let offset = 0; ; offset += pageSize) {
    const letters = await courier.getDeadLetters(name, { offset, max: pageSize });
    if (letters.length === 0) return;
    yield* letters;
  }
}

function rowOf(queue: string, task: ListedTask): string[] {
  const { state, id, name = '', key = '', priority, attempts, timeQueued } = task;
  const [problem = ''] = 'error' in task ? messageOf(task.error).split('\n') : [];
  const queued = new Date(timeQueued).toISOString();
  return [queue, state, id, shorten(name, 40), shorten(key, 40), priority, `${attempts}`, queued, shorten(problem, 80)];
}
