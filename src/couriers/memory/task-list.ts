/** The tasks of a memory queue in a state, as `listTasks()` gives them. */
import { priorities } from '../../queue/priority.ts';
import type { CourierTaskState, ListedTask, ListOptions } from '../queue-view.ts';
import type { MemoryTask } from './memory-task.ts';

type Order = (task: MemoryTask) => number;

const orders: Readonly<Record<CourierTaskState, readonly Order[]>> = {
  waiting: [({ priority }) => priorities.indexOf(priority), ({ sequence }) => sequence],
  delayed: [({ timeDue }) => timeDue],
  leased: [({ timeStarted = 0 }) => timeStarted],
  completed: [byEnd],
  failed: [byEnd],
  canceled: [byEnd],
};

function byEnd({ timeEnded = 0 }: MemoryTask): number {
  return timeEnded;
}

/** Those that are equal stay in the order in which they were added. */
export function listOf(tasks: Iterable<MemoryTask>, { state, offset = 0, max = 100 }: ListOptions): ListedTask[] {
  const found = [...tasks].filter((task) => task.state === state);
  for (const order of orders[state].toReversed()) found.sort((a, b) => order(a) - order(b));
  return found.slice(offset, offset + max).map((task) => {
    const { id, name, key, priority, attempts, timeQueued, timeStarted, timeEnded, outcome: error } = task;
    const failed = state === 'failed' && { error };
    return { id, name, key, state, priority, attempts, timeQueued, timeStarted, timeEnded, ...failed };
  });
}
