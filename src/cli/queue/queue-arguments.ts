/** The command line of `taskwarden queue`. */
import { oneOf, rules } from '../../base/options.ts';
import type { CourierTaskState } from '../../index.ts';
import { checkFlag, numberFlag, parseFlags } from '../flags.ts';
import { UsageError } from '../usage-error.ts';

const actions = ['info', 'list', 'redrive', 'cancel', 'export'] as const;

type QueueAction = (typeof actions)[number];

const states: Readonly<Record<CourierTaskState, true>> = {
  waiting: true,
  delayed: true,
  leased: true,
  completed: true,
  failed: true,
  canceled: true,
};
export const taskStates: readonly CourierTaskState[] = Object.keys(states) as CourierTaskState[];

export interface QueueArguments {
  /** The URL of a server, or the path of a file. */
  readonly where: string;
  readonly action: QueueAction;
  /** Of tasks. */
  readonly ids: readonly string[];
  /** Undefined: all queues. */
  readonly queue: string | undefined;
  /** Undefined: those that the action is about by default. */
  readonly state: CourierTaskState | undefined;
  /** How many tasks of each state. */
  readonly max: number;
  readonly prefix: string | undefined;
  readonly json: boolean;
}

/**
 * Undefined: help was asked for.
 * @throws UsageError
 */
export function parseQueueArguments(argv: readonly string[]): QueueArguments | undefined {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      queue: { type: 'string' },
      state: { type: 'string' },
      max: { type: 'string' },
      prefix: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const [where, action = 'info', ...ids] = positionals;
  if (where === undefined)
    throw new UsageError('queue takes the URL of a server, such as redis://localhost, or a file');
  if (!isAction(action)) throw new UsageError(`queue has no '${action}'; it has ${actions.join(', ')}`);
  const { queue, state, prefix, json } = values;
  if (queue !== undefined) checkFlag('--queue', queue, rules.string);
  if (prefix !== undefined) checkFlag('--prefix', prefix, rules.string);
  if (state !== undefined) checkFlag('--state', state, oneOf(taskStates));
  const isChange = action === 'redrive' || action === 'cancel';
  if (isChange && queue === undefined) throw new UsageError(`${action} needs --queue: which one is to be changed?`);
  if (action === 'cancel' && ids.length === 0) throw new UsageError('cancel takes the ids of tasks');
  if (!isChange && ids.length > 0) throw new UsageError(`${action} takes no ids`);
  if (state !== undefined && action !== 'list' && action !== 'export') {
    throw new UsageError(`${action} takes no --state`);
  }
  if (values.max !== undefined && action !== 'list') throw new UsageError(`${action} takes no --max`);
  const max = numberFlag('--max', values.max, rules.positiveCount) ?? 100;
  return { where, action, ids, queue, state: state as CourierTaskState | undefined, max, prefix, json };
}

function isAction(text: string): text is QueueAction {
  return (actions as readonly string[]).includes(text);
}
