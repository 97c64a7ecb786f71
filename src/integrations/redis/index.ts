/** `taskwarden/redis`: controllers that feed a running task from a Redis list or channel. It needs the package ioredis. */
export type { RedisConnection } from '../redis-client.ts';
export type { RedisControllerOptions } from './controller-options.ts';
export { redisBrpop } from './redis-brpop.ts';
export { redisPubsub } from './redis-pubsub.ts';
