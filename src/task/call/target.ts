/** The target of `putTask` and `scheduleTask`, a background task or a plain function, with its arguments. */
import { arrayOf, checkOptions, rules } from '../../base/options.ts';
import type { TaskFunction } from '../definition/definition.ts';
import { backgroundTask, isBackgroundTask } from './background-task.ts';
import type { TaskSpec } from './task-options.ts';
import { type TaskOptions, type TaskSubmitter, taskRules } from './task-options.ts';

/** Optional where the function needs none. */
type Arguments<F extends TaskFunction> =
  [] extends Parameters<F> ? { readonly args?: Parameters<F> } : { readonly args: Parameters<F> };

/** The options of `putTask`: the arguments of the target, and task options. */
export type PutOptions<F extends TaskFunction> = TaskOptions<F> & Arguments<F>;

export interface PreparedCall {
  readonly name: string;
  readonly spec: TaskSpec;
  readonly args: readonly unknown[];
  /** Only if the options name one. */
  readonly supervisor?: TaskSubmitter;
}

/** @throws TypeError or RangeError that names the bad option. */
export function prepareCall(target: TaskFunction, options: object, owner: string): PreparedCall {
  const { args = [], ...rest } = options as TaskOptions & { readonly args?: unknown };
  checkOptions({ args }, { args: arrayOf('an array of arguments', () => true) }, owner);
  if (typeof target !== 'function') checkOptions({ target }, { target: rules.function }, owner);
  checkOptions(rest, taskRules, owner);
  const { name, spec } = isBackgroundTask(target) ? target.with(rest) : backgroundTask(target, rest);
  return { name, spec, args: args as unknown[], ...(rest.supervisor && { supervisor: rest.supervisor }) };
}
