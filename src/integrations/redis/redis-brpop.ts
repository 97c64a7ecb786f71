/**
 * A controller that pops from a Redis list and sends each item to its task, one at a time. An item that the task has not
 * taken when it ends is back in the list, where it was, before the task's result is given.
 */
import { setTimeout } from 'node:timers/promises';
import type { Controller } from '../../index.ts';
import { Client, type RedisConnection } from '../redis-client.ts';
import { checkControllerOptions, outageReporter, type RedisControllerOptions } from './controller-options.ts';
import { PoppedList } from './popped-list.ts';

/** How long the end of a task may wait for a Redis that does not answer, in milliseconds. */
const closingMs = 1_000;
const unblockMs = 5;

/**
 * For `controller()`: pops from the right end of the list at `key`, waits where it is empty, and sends each item to the
 * task's `recv()`, the next when the task has taken the one before. An item leaves Redis when the task has taken it. One
 * that it has not taken when it ends, in whatever way, goes back to the right end of the list. If this process is killed,
 * or Redis can't be reached at the end, it stays in a list beside, until the next controller on that key starts and puts
 * it back. So no item is lost, and one can come twice: if a thread, this process or the connection dies just when the
 * task has taken it. What Redis refuses at the start (a wrong password, a database that is not there, no rights), and a key
 * of another type, stop the task with `SERVER_REFUSED`. All else is waited for, and `onError` hears of it. Needs Redis 6.2 or later, no cluster, and the package ioredis, else `PEER_MISSING`.
 */
export function redisBrpop(key: string, options: RedisControllerOptions): Controller {
  checkControllerOptions(key, options, 'redisBrpop()', 'key');
  const { connection, parse = (text) => text } = options;
  return (task, signal, hold) => {
    const report = outageReporter(options, `redisBrpop('${key}')`);
    const work = feed(key, connection, signal, report, (text) => task.send(parse(text), { untilTaken: true }));
    hold?.(work);
    return work;
  };
}

async function feed(
  key: string,
  connection: RedisConnection,
  signal: AbortSignal,
  report: (error: Error) => void,
  give: (text: string) => Promise<boolean>,
): Promise<void> {
  const popped = new PoppedList(key);
  const client = await Client.open(connection, popped.name, report);
  const clients = [client];
  const fed = (async () => {
    await popped.recover(client);
    while (!signal.aborted) {
      const text = await popped.pop(client);
      if (text === undefined || signal.aborted) continue;
      if (await give(text)) await popped.remove(client);
    }
  })();
  const over = fed.catch(() => {});

  async function close(): Promise<void> {
    if (!popped.isUsed) return;
    if (popped.isPopping) {
      const other = await Client.open(connection, `${popped.name}:end`, () => {});
      clients.push(other);
      // Until the pop has ended: what is sent before Redis has the pop ends nothing.
      while (popped.isPopping) {
        await other.insist((redis) => redis.client('UNBLOCK', popped.connectionId));
        await Promise.race([over, setTimeout(unblockMs)]);
      }
    }
    await over;
    await popped.close(client);
  }

  try {
    await Promise.race([fed, aborted(signal)]);
  } finally {
    const limit = new AbortController();
    // What could not be put back is found by the next controller.
    const closed = close().catch(() => {});
    await Promise.race([closed, setTimeout(closingMs, undefined, limit).catch(() => {})]);
    limit.abort();
    for (const each of clients) each.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
