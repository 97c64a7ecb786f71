/** What the calls of couriers may be given. */
import { backoffRule } from '../base/backoff.ts';
import { isInstance } from '../base/foreign-value.ts';
import { rateRule } from '../base/key-options.ts';
import { arrayOf, is, oneOf, type Rule, rules } from '../base/options.ts';
import { priorities } from '../queue/priority.ts';
import type {
  AddOptions,
  BulkAddOptions,
  FetchOptions,
  QueueLimits,
  ReturnErrorOptions,
  ReturnOptions,
  WaitOptions,
} from './courier.ts';

export const bulkAddRules: Readonly<Record<keyof BulkAddOptions, Rule>> = {
  priority: oneOf(priorities),
  delayMs: rules.durationMs,
  retries: rules.countOrInfinity,
  retryDelayMs: backoffRule,
  deadlineMs: rules.positiveMs,
  key: rules.string,
  wait: rules.boolean,
  signal: rules.signal,
};
export const addRules: Readonly<Record<keyof AddOptions, Rule>> = {
  ...bulkAddRules,
  unique: oneOf(['join', 'refuse', 'replace']),
  uniqueForMs: rules.durationMs,
  id: is('a string that is not empty, without ":"', (id) => typeof id === 'string' && id !== '' && !id.includes(':')),
};
export const waitRules: Readonly<Record<keyof WaitOptions, Rule>> = {
  timeoutMs: rules.durationMsOrInfinity,
  signal: rules.signal,
};
export const fetchRules: Readonly<Record<keyof FetchOptions, Rule>> = { minPriority: oneOf(priorities) };
export const limitRules: Readonly<Record<keyof QueueLimits, Rule>> = {
  maxPerKey: rules.positiveCountOrInfinity,
  rate: rateRule,
};
export const returnErrorRules: Readonly<Record<keyof ReturnErrorOptions, Rule>> = {
  isFinal: rules.boolean,
  retries: rules.countOrInfinity,
  retryDelayMs: backoffRule,
};
export const returnRules: Readonly<Record<keyof ReturnOptions, Rule>> = { next: rules.count };
export const letterRules: Readonly<Record<string, Rule>> = { offset: rules.count, max: rules.positiveCountOrInfinity };
export const isData: Rule = arrayOf('an array with the data of each task', () => true);
export const isId: Rule = arrayOf('an array of ids', (id) => typeof id === 'string');
export const isBytes: Rule = is('a Uint8Array', (work) => isInstance(work, Uint8Array));
