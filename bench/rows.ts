/** The rows of the bench. Each is loaded in its own process only, so that one that lacks a library harms no other. */
import type { Row } from './measure.ts';

export const rows: readonly Row[] = [
  {
    number: '1',
    name: 'deep-queue',
    work: 'tiny tasks, all at once, two threads, TaskInfo and events kept',
    load: () => import('./rows/deep-queue.ts'),
  },
  {
    number: '1b',
    name: 'all',
    work: 'the same by all()',
    load: () => import('./rows/all.ts'),
  },
  {
    number: '2',
    name: 'window',
    work: 'tiny tasks, 64 in flight, two threads',
    load: () => import('./rows/window.ts'),
  },
  {
    number: '3',
    name: 'one-by-one',
    work: 'tiny tasks one by one: the time there and back',
    load: () => import('./rows/one-by-one.ts'),
  },
  {
    number: '4',
    name: 'cpu-tasks',
    work: 'CPU tasks of 1 ms and of 10 ms on both cores',
    load: () => import('./rows/cpu-tasks.ts'),
  },
  {
    number: '5',
    name: 'urgent',
    work: 'a high task while very many low ones of 20 ms wait, reserve 1: p99 of its wait',
    load: () => import('./rows/urgent.ts'),
  },
  { number: '6', name: 'memory', work: 'memory of a waiting task', load: () => import('./rows/memory.ts') },
  {
    number: '7',
    name: 'depth',
    work: 'cost of a tiny task from call to end, while few and while very many wait',
    load: () => import('./rows/depth.ts'),
  },
  {
    number: '8',
    name: 'cancel',
    work: 'cancel of any one of very many waiting tasks',
    load: () => import('./rows/cancel.ts'),
  },
  {
    number: '9',
    name: 'transfer',
    work: '50 MB ArrayBuffer there and back with transfer',
    load: () => import('./rows/transfer.ts'),
  },
  {
    number: '10',
    name: 'idle',
    work: 'what an idle supervisor does, after 1,000 tasks',
    load: () => import('./rows/idle.ts'),
  },
  {
    number: '11',
    name: 'interval',
    work: 'an interval worker that is due every 10 ms',
    load: () => import('./rows/interval.ts'),
  },
  {
    number: '12',
    name: 'cold-start',
    work: 'import of the package, and the first result of a cold start, in fresh processes',
    load: () => import('./rows/cold-start.ts'),
  },
  {
    number: '13',
    name: 'redis',
    work: 'couriers on Redis against plain BullMQ; the client and each worker have a process of their own',
    load: () => import('./rows/redis.ts'),
  },
  {
    number: '13b',
    name: 'postgres',
    work: 'the same on PostgreSQL',
    load: () => import('./rows/postgres.ts'),
  },
  {
    number: '14',
    name: 'real-work',
    work: 'SHA-256 and Brotli of small files, Markdown of documents; two threads, order kept',
    load: () => import('./rows/real-work.ts'),
  },
  {
    number: '15',
    name: 'children',
    work: 'tasks in child processes; strings and objects, in threads and in children',
    load: () => import('./rows/children.ts'),
  },
  {
    number: '16',
    name: 'sqlite',
    work: 'a courier on a file: tasks added, fetched and returned, durable, in one process',
    load: () => import('./rows/sqlite.ts'),
  },
  {
    number: '17',
    name: 'keys',
    work: 'tasks of very many keys, on the event loop, limited in several ways',
    load: () => import('./rows/keys.ts'),
  },
];

/** By its number or its name. */
export function findRow(wanted: string): Row {
  const row = rows.find(({ number, name }) => wanted === number || wanted === name);
  if (row !== undefined) return row;
  throw new RangeError(
    `there is no row "${wanted}"; there are ${rows.map((r) => `${r.number} (${r.name})`).join(', ')}`,
  );
}
