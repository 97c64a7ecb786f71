/** Where Celery's broker and results are: options of the calls and of the worker. */
import { type Rule, rules } from '../../base/options.ts';
import { connectionRule, type RedisConnection } from '../redis-client.ts';

export interface CeleryConnectionOptions {
  /** The Redis that is Celery's broker: a URL (`redis://` or `rediss://`), the options of ioredis, or a client of it. */
  readonly broker: RedisConnection;
  /** The Redis that is Celery's result backend. Default: the broker. */
  readonly backend?: RedisConnection;
  /** `global_keyprefix` of Celery's `broker_transport_options`. Default: none. */
  readonly keyPrefix?: string;
  /**
   * What stands before `celery-task-meta-` in the keys of results: with `global_keyprefix` in Celery's
   * `result_backend_transport_options` that is the prefix and `_`. Default: none.
   */
  readonly resultKeyPrefix?: string;
  /** Hears once of each time that Redis can't be reached. Default: a line on the console. */
  readonly onError?: (error: unknown) => void;
}

export const connectionRules: Readonly<Record<keyof CeleryConnectionOptions, Rule>> = {
  broker: connectionRule,
  backend: connectionRule,
  keyPrefix: rules.text,
  resultKeyPrefix: rules.text,
  onError: rules.function,
};
