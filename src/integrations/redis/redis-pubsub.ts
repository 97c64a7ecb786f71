/** A controller that subscribes to a Redis channel and sends its task what is published there. */
import type { Controller } from '../../index.ts';
import { Client } from '../redis-client.ts';
import { checkControllerOptions, outageReporter, type RedisControllerOptions } from './controller-options.ts';

/** Nothing may be published for long: so a dead connection is noticed. */
const pingMs = 5_000;

/**
 * For `controller()`: sends each text that is published in the channel to the task's `recv()`. Nothing is kept: what is
 * published before it has subscribed, while its connection is lost, or after the task has ended goes past it, and what
 * the task does not take is gone. A task that is slow is not waited for. What Redis refuses at the start stops the task with
 * `SERVER_REFUSED`; all else is waited for, `onError` hears of it, and it subscribes again. Needs the package ioredis, else `PEER_MISSING`.
 */
export function redisPubsub(channel: string, options: RedisControllerOptions): Controller {
  checkControllerOptions(channel, options, 'redisPubsub()', 'channel');
  const { connection, parse = (text) => text } = options;
  return async (task, signal) => {
    const client = await Client.open(
      connection,
      'taskwarden:pubsub',
      outageReporter(options, `redisPubsub('${channel}')`),
    );
    const pings = setInterval(() => client.call((redis) => redis.ping()).catch(() => {}), pingMs);
    try {
      await new Promise<void>((resolve, reject) => {
        const pass = async (text: string) => {
          try {
            await task.send(parse(text));
          } catch (error) {
            reject(error);
          }
        };
        const subscribe = async () => {
          try {
            for (;;) {
              await client.insist((redis) => redis.subscribe(channel));
              client.admit();
              await client.lost();
            }
          } catch (error) {
            reject(error);
          }
        };
        client.redis.on('message', (_, text: string) => void pass(text));
        if (signal.aborted) return resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
        void subscribe();
      });
    } finally {
      clearInterval(pings);
      client.close();
    }
  };
}
