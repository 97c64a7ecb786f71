/** The names of keys and channels that Celery and kombu use in a Redis, each as these write it. */

/** Kombu's separator of the parts of a name. */
const separator = '\x06\x16';

/** Kombu's `priority_steps`: a queue has a list for each; 0 is popped first. */
export const prioritySteps: readonly number[] = [0, 3, 6, 9];

/** The step of a priority: the highest one that is not above it. */
function stepOf(priority: number): number {
  return prioritySteps.findLast((step) => step <= priority) ?? 0;
}

export interface NameOptions {
  /** Of the broker's URL; it is part of the names of channels. */
  readonly database: number;
  /** Kombu's `global_keyprefix`. Default: ''. */
  readonly keyPrefix?: string | undefined;
  /** Before the keys of results: Celery's `global_keyprefix` of the result backend, as it stands in a key. Default: ''. */
  readonly resultKeyPrefix?: string | undefined;
}

export class Names {
  readonly unacked: string;
  readonly unackedIndex: string;
  readonly unackedMutex: string;
  /** The channel to all workers. */
  readonly pidbox: string;
  readonly #prefix: string;
  readonly #resultPrefix: string;
  readonly #fanout: string;

  constructor({ database, keyPrefix = '', resultKeyPrefix = '' }: NameOptions) {
    this.#prefix = keyPrefix;
    this.#resultPrefix = resultKeyPrefix;
    this.#fanout = `${keyPrefix}/${database}.`;
    this.unacked = `${keyPrefix}unacked`;
    this.unackedIndex = `${keyPrefix}unacked_index`;
    this.unackedMutex = `${keyPrefix}unacked_mutex`;
    this.pidbox = `${this.#fanout}celery.pidbox`;
  }

  /** The list of a queue that has the messages of this priority. */
  list(queue: string, priority = 0): string {
    const step = stepOf(priority);
    return `${this.#prefix}${queue}${step === 0 ? '' : `${separator}${step}`}`;
  }

  /** All lists of the queues, in the order in which they are popped. */
  lists(queues: readonly string[]): string[] {
    return prioritySteps.flatMap((step) => queues.map((queue) => this.list(queue, step)));
  }

  /** The set of the queues that are bound to an exchange. */
  binding(exchange: string): string {
    return `${this.#prefix}_kombu.binding.${exchange}`;
  }

  /** The channel of an event: `task-started` and so on, or `task.multi` for a list of them. */
  event(type: string): string {
    return `${this.#fanout}celeryev/${type.replaceAll('-', '.')}`;
  }

  /** The key of a task's result, which is also the channel where it is published. */
  result(taskId: string): string {
    return `${this.#resultPrefix}celery-task-meta-${taskId}`;
  }

  /** The key of a chord's results; `.t` and `.s` after it are its counters. */
  chord(groupId: string): string {
    return `${this.#resultPrefix}celery-taskset-meta-${groupId}.j`;
  }
}

/** The member of an exchange's set that binds a queue to it. */
export function bindingMember(routingKey: string, queue: string, pattern = ''): string {
  return [routingKey, pattern, queue].join(separator);
}

/** The queues among the members of an exchange's set that get messages with this routing key. */
export function boundQueues(members: readonly string[], routingKey: string): string[] {
  return members.flatMap((member) => {
    const [key, , queue] = member.split(separator);
    return key === routingKey && queue !== undefined ? [queue] : [];
  });
}
