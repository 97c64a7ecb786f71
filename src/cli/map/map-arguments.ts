/** The command line of `taskwarden map`. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { oneOf, rules } from '../../base/options.ts';
import { priorities } from '../../queue/priority.ts';
import { resolveTaskOptions, type TaskOptions } from '../../task/call/task-options.ts';
import { taskTypes } from '../../task/record/task-type.ts';
import { checkFlag, numberFlag, parseFlags } from '../flags.ts';
import { parseTarget, type Target } from '../target.ts';
import { UsageError } from '../usage-error.ts';
import { type Halt, parseHalt } from './halt.ts';
import type { Resume } from './job-log/earlier-runs.ts';

export interface MapArguments {
  readonly target: Target;
  /** As it was given. */
  readonly targetText: string;
  /** Undefined: the lines of standard input, or those of the job log that have failed. */
  readonly inputs: readonly string[] | undefined;
  readonly json: boolean;
  readonly ordered: boolean;
  /** How many tasks run at once. */
  readonly concurrency: number;
  /** The path of the file for the results. Undefined: standard output. */
  readonly outputFile: string | undefined;
  /** The path of the job log. */
  readonly jobLog: string | undefined;
  /** Which inputs of the job log do not run again. Undefined: the job log is begun anew. */
  readonly resume: Resume | undefined;
  /** Undefined: never. */
  readonly halt: Halt | undefined;
  /** Shows what would run. */
  readonly isDryRun: boolean;
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
      joblog: { type: 'string' },
      resume: { type: 'boolean' },
      'resume-failed': { type: 'boolean' },
      'retry-failed': { type: 'boolean' },
      halt: { type: 'string', default: 'never' },
      'dry-run': { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { json, ordered, output, joblog, halt } = values;
  const resume = resumeOf(values);
  if (resume !== undefined && joblog === undefined) throw new UsageError(`--${resume} needs --joblog`);
  if (joblog !== undefined && output !== undefined && resolve(joblog) === resolve(output)) {
    throw new UsageError('--joblog and --output need a file each');
  }
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
    inputs: resume === 'retry-failed' ? noneOf(inputs) : inputsFrom(inputs),
    target: parseTarget(target),
    targetText: target,
    json,
    ordered,
    outputFile: output,
    jobLog: joblog,
    resume,
    halt: parseHalt(halt),
    isDryRun: values['dry-run'],
  };
}

/** The one that runs most again counts, as in GNU parallel. */
function resumeOf(values: { readonly [R in Resume]?: boolean | undefined }): Resume | undefined {
  return (['retry-failed', 'resume-failed', 'resume'] as const).find((resume) => values[resume]);
}

function noneOf(inputs: readonly string[]): undefined {
  if (inputs.length > 0) throw new UsageError('--retry-failed takes its inputs from the job log: leave them out');
}

function inputsFrom(given: readonly string[]): readonly string[] | undefined {
  if (given.length === 1 && given[0] === '-') return undefined;
  if (given.includes('-')) throw new UsageError("'-' stands for standard input, and can't be mixed with other inputs");
  if (given.length > 0) return given;
  if (process.stdin.isTTY) throw new UsageError("there are no inputs: name them, pipe them in, or type them after '-'");
  return undefined;
}
