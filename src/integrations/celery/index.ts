/** `taskwarden/celery`: tasks in Python by Celery, and for it. It needs the package ioredis. */

export type { RedisConnection } from '../redis-client.ts';
export {
  type CeleryCallOptions,
  type CeleryTask,
  type CeleryTaskOptions,
  celeryTask,
  type KeywordArguments,
  kwargs,
} from './celery-task.ts';
export type { CeleryConnectionOptions } from './connection-options.ts';
