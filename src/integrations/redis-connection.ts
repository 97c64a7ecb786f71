/** What holds for each connection to a Redis by ioredis, be it of a courier or of a controller. */
import type { Redis } from 'ioredis';
import { courierKit } from '../index.ts';

const { fieldOf, messageOf } = courierKit;

/** What Redis says to who may not come in, or finds nothing there that could be used. */
const closedDoor = /^(WRONGPASS|NOAUTH|NOPERM|ERR (DB index|invalid DB|Client sent AUTH|AUTH|unknown command))/;

/** Redis has said it, and the connection is sound. */
export function isReply(error: unknown): boolean {
  return fieldOf(error, 'name') === 'ReplyError';
}

/** Whether an error of the very first connection says that waiting won't help. */
export function isRefusalOfRedis(error: unknown): boolean {
  return isReply(error) && closedDoor.test(messageOf(error));
}

/**
 * Where it can't have the database of its options, ioredis tells of it as it connects, and goes on in database 0. Such a
 * connection is ended, and tried again as one that was lost.
 */
export function keepToDatabase(redis: Redis): void {
  redis.on('error', (error) => {
    if (fieldOf(fieldOf(error, 'command'), 'name') === 'select') redis.disconnect(true);
  });
}
