/** `taskwarden/celery`: tasks in Python by Celery, and for it. It needs the package ioredis. */

export type { RedisConnection } from '../redis-client.ts';
export { CeleryReject } from './celery-reject.ts';
export {
  type CeleryCallOptions,
  type CeleryTask,
  type CeleryTaskOptions,
  celeryTask,
  type KeywordArguments,
  kwargs,
} from './celery-task.ts';
export { CeleryWorker } from './celery-worker.ts';
export type { CeleryConnectionOptions } from './connection-options.ts';
export type { CeleryWorkerOptions } from './worker/worker-options.ts';
