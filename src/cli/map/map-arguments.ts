/** The command line of `taskwarden map`. */
import { availableParallelism } from 'node:os';
import { oneOf, rules } from '../../base/options.ts';
import { priorities } from '../../queue/priority.ts';
import { resolveTaskOptions, type TaskOptions } from '../../task/call/task-options.ts';
import { taskTypes } from '../../task/record/task-type.ts';
import { checkFlag, numberFlag, parseFlags } from '../flags.ts';
import { parseTarget, type Target } from '../target.ts';
import { UsageError } from '../usage-error.ts';

export interface MapArguments {
  readonly target: Target;
  /** Undefined: the lines of standard input. */
  readonly inputs: readonly string[] | undefined;
  readonly json: boolean;
  readonly ordered: boolean;
  /** How many tasks run at once. */
  readonly concurrency: number;
  /** The path of the file for the results. Undefined: standard output. */
  readonly outputFile: string | undefined;
  readonly taskOptions: Pick<Required<TaskOptions>, 'priority' | 'type'> & TaskOptions;
}

/**
 * Undefined: help was asked for.
 * @throws UsageError
 */
export function parseMapArguments(argv: readonly string[]): MapArguments | undefined {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean', default: false },
      ordered: { type: 'boolean', default: false },
      priority: { type: 'string' },
      type: { type: 'string' },
      concurrency: { type: 'string' },
      retries: { type: 'string' },
      timeout: { type: 'string' },
      output: { type: 'string', short: 'o' },
    },
  });
  if (values.help) return undefined;
  const { json, ordered, output } = values;
  const [target, ...inputs] = positionals;
  if (target === undefined) throw new UsageError('map takes a function, such as ./images.ts#resize, and its inputs');
  checkFlag('--priority', values.priority ?? 'normal', oneOf(priorities));
  checkFlag('--type', values.type ?? 'thread', oneOf(taskTypes));
  const given = {
    priority: values.priority,
    type: values.type,
    retries: numberFlag('--retries', values.retries, rules.countOrInfinity),
    timeoutMs: numberFlag('--timeout', values.timeout, rules.positiveMs),
  } as TaskOptions;
  return {
    concurrency: numberFlag('--concurrency', values.concurrency, rules.positiveCount) ?? availableParallelism(),
    taskOptions: resolveTaskOptions(given, 'map'),
    inputs: inputsFrom(inputs),
    target: parseTarget(target),
    json,
    ordered,
    outputFile: output,
  };
}

function inputsFrom(given: readonly string[]): readonly string[] | undefined {
  if (given.length === 1 && given[0] === '-') return undefined;
  if (given.includes('-')) throw new UsageError("'-' stands for standard input, and can't be mixed with other inputs");
  if (given.length > 0) return given;
  if (process.stdin.isTTY) throw new UsageError("there are no inputs: name them, pipe them in, or type them after '-'");
  return undefined;
}
