/** The key of a task: the string that its option `key` gives, or what its function makes of the arguments of the call. */
import { TaskwardenError } from '../../base/errors.ts';
import { messageOf } from '../../base/foreign-value.ts';
import { show } from '../../base/options.ts';
import type { TaskSpec } from './task-options.ts';

/**
 * Undefined if the options have no key.
 * @throws TaskwardenError `KEY_FAILED` if the function of the user throws, or gives anything but a string that is not empty.
 */
export function keyOf({ definition, options }: TaskSpec, args: readonly unknown[]): string | undefined {
  const { key, name = definition.name } = options;
  if (typeof key !== 'function') return key;
  let value: unknown;
  try {
    value = (key as (...args: unknown[]) => unknown)(...(definition.takesWorkerContext ? args.slice(1) : args));
  } catch (cause) {
    throw new TaskwardenError('KEY_FAILED', `the key of task "${name}" failed: ${messageOf(cause)}`, { cause });
  }
  if (typeof value === 'string' && value !== '') return value;
  throw new TaskwardenError(
    'KEY_FAILED',
    `the function "key" of task "${name}" must give a string that is not empty; got ${show(value)}`,
  );
}
