/** Each call as it is done in a transaction of the store. One that waits is answered later. */
import type { CallName, StoreCalls, StoreSettings } from '../protocol.ts';
import type { TaskWaits } from './task-waits.ts';
import { addTasks } from './tasks/additions.ts';
import { listDead, redrive, removeDead } from './tasks/dead-letters.ts';
import type { Deliveries } from './tasks/deliveries.ts';
import { cancelTask, completeTask, extendLease, failTask, releaseTask } from './tasks/endings.ts';
import { setLimits, setPaused } from './tasks/limits.ts';
import { sendToClient, sendToTask } from './tasks/messages.ts';
import { Refusal } from './tasks/refusal.ts';
import type { Transaction } from './tasks/transaction.ts';
import { endOf, listTasks, queueInfo, queueNames } from './tasks/views.ts';
import { keepWork } from './tasks/work.ts';
import type { Watches } from './watches.ts';

/** It is answered later. */
export const later: unique symbol = Symbol('later');

export type Operations = {
  readonly [Name in CallName]: (
    tx: Transaction,
    n: number,
    ...args: Parameters<StoreCalls[Name]>
  ) => ReturnType<StoreCalls[Name]> | typeof later;
};

export function operations(
  settings: StoreSettings,
  deliveries: Deliveries,
  waits: TaskWaits,
  watches: Watches,
): Operations {
  const { leaseMs, resultTtlMs } = settings;
  return {
    add: (tx, n, queue, tasks, options) => {
      if (options.wait !== true) return addTasks(tx, queue, tasks, options, settings);
      if (!waits.isRoomAwaited(queue)) {
        try {
          return addTasks(tx, queue, tasks, options, settings);
        } catch (error) {
          if (!(error instanceof Refusal) || error.failure.code !== 'QUEUE_FULL') throw error;
        }
      }
      waits.addRoomWait(tx, queue, n, tasks, options);
      return later;
    },
    endOf: (tx, _, queue, id) => endOf(tx, queue, id),
    waitForEnd: (tx, n, queue, id) => {
      const end = endOf(tx, queue, id);
      if (end !== undefined) return end;
      watches.waitForEnd(tx, queue, id, n);
      return later;
    },
    cancel: (tx, _, queue, id, outcome) => cancelTask(tx, queue, id, outcome, resultTtlMs),
    sendToTask: (tx, _, queue, id, command) => void sendToTask(tx, queue, id, command) as undefined,
    subscribeToTask: (tx, _, queue, id) => watches.subscribeToTask(tx, queue, id),
    unsubscribeFromTask: (tx, _, queue, id) => void watches.unsubscribeFromTask(tx, queue, id) as undefined,
    subscribe: (tx, _, queue) => void watches.subscribe(tx, queue) as undefined,
    unsubscribe: (tx, _, queue) => void watches.unsubscribe(tx, queue) as undefined,
    deadLetters: (tx, _, queue, offset, max) => listDead(tx, queue, offset, max),
    redrive: (tx, _, queue, ids) => redrive(tx, queue, ids),
    removeDead: (tx, _, queue, ids) => removeDead(tx, queue, ids),
    list: (tx, _, queue, state, offset, max) => listTasks(tx, queue, state, offset, max),
    info: (tx, _, queue) => queueInfo(tx, queue),
    queueNames: (tx) => queueNames(tx),
    pause: (tx, _, queue, isPaused) => void setPaused(tx, queue, isPaused) as undefined,
    setLimits: (tx, _, queue, limits) => setLimits(tx, queue, limits),
    claim: (tx, _, queue, max, minPriority) => {
      const tasks = deliveries.take(tx, queue, max, minPriority);
      if (tasks.length > 0) tx.changed.add(queue);
      return tasks;
    },
    waitForTasks: (tx, n, queue, max, minPriority) => {
      const tasks = deliveries.take(tx, queue, max, minPriority);
      if (tasks.length > 0) tx.changed.add(queue);
      else waits.addTaskWait(tx, queue, { n, max, minPriority });
      return tasks.length > 0 ? tasks : later;
    },
    complete: (tx, _, queue, results, next) => {
      const lost = results
        .filter((task) => !completeTask(tx, queue, task, task.outcome, resultTtlMs))
        .map(({ id }) => id);
      return { lost, next: lost.length > 0 ? [] : deliveries.take(tx, queue, next, 'low') };
    },
    fail: (tx, _, queue, task, failure) => failTask(tx, queue, task, failure),
    extend: (tx, _, queue, tasks) =>
      tasks.filter((task) => !extendLease(tx, queue, task, leaseMs)).map(({ lease }) => lease),
    release: (tx, _, queue, task) => releaseTask(tx, queue, task),
    keepWork: (tx, _, queue, task, name, work) => keepWork(tx, queue, task, name, work),
    sendToClient: (tx, _, queue, task, kind, update) => sendToClient(tx, queue, task, kind, update),
    watch: (tx, _, queue, task) => watches.watch(tx, queue, task),
    unwatch: (_tx, _, _queue, task) => void watches.unwatch(task.lease) as undefined,
  };
}
