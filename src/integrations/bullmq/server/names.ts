/**
 * The ids and names that can be given. On Redis a job is the key that its id names, beside the keys of its queue: an id that
 * is one of those would take all jobs of the queue with it.
 */
import { loadBullMq } from '../peers.ts';

let reserved: ReadonlySet<string> | undefined;

/** Whether an id is a key that BullMQ has, or had, in each queue. */
export function isReserved(id: string): boolean {
  reserved ??= new Set([...Object.keys(new (loadBullMq().QueueKeys)().getKeys('')), 'priority', 'dn', 'metrics']);
  return reserved.has(id);
}

/** @throws TypeError for an id that can't be given, which is so on all servers alike. */
export function checkId(id: string): void {
  const problem = isReserved(id)
    ? 'must not be the name of a key of BullMQ'
    : `${Number.parseInt(id, 10)}` === id
      ? 'must not be an integer'
      : problemOf(id);
  if (problem !== undefined) throw new TypeError(`the id of a task of BullMQ ${problem}; got ${JSON.stringify(id)}`);
}

/** In bytes. Longer ones find no place in the indexes of PostgreSQL. */
const longestKey = 1_024;

/** @throws TypeError for a key that PostgreSQL can't keep, which is so on all servers alike. */
export function checkKey(key: string | undefined): void {
  if (key === undefined) return;
  const bytes = Buffer.byteLength(key);
  if (bytes > longestKey) {
    throw new TypeError(`the key of a task of BullMQ must not be longer than ${longestKey} bytes; got ${bytes}`);
  }
  const problem = unstorable(key);
  if (problem !== undefined) throw new TypeError(`the key of a task of BullMQ ${problem}; got ${JSON.stringify(key)}`);
}

/** @throws TypeError */
export function checkQueueName(name: string): void {
  const problem = typeof name !== 'string' || name === '' ? 'must be a string that is not empty' : problemOf(name);
  if (problem !== undefined) {
    throw new TypeError(`the name of a queue of BullMQ ${problem}; got ${JSON.stringify(name)}`);
  }
}

function problemOf(name: string): string | undefined {
  return name.includes(':') ? 'must not contain ":"' : unstorable(name);
}

function unstorable(name: string): string | undefined {
  if (/\p{Surrogate}/u.test(name)) return 'must not contain half of a surrogate pair';
  return name.includes('\0') ? 'must not contain U+0000' : undefined;
}
