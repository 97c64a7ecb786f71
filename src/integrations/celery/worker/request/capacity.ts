/** How many tasks the supervisors of a worker's functions could start now, whichever functions are called. */
import { type BackgroundTask, courierKit, type TaskFunction } from '../../../../index.ts';

const { demandOf, submitterOf } = courierKit;

export interface Capacity {
  count(): number;
  /** Calls back when it may have changed, until the returned function is called. */
  subscribe(callback: () => void): () => void;
}

export function capacityOf(functions: readonly BackgroundTask<TaskFunction>[]): Capacity {
  const parts = functions.flatMap(({ spec }) => {
    const { freeCapacity } = submitterOf(spec.options);
    return freeCapacity === undefined
      ? []
      : [{ freeCapacity, priority: spec.options.priority, demand: demandOf(spec) }];
  });
  const supervisors = new Set(parts.map(({ freeCapacity }) => freeCapacity));
  return {
    count: () => Math.min(...parts.map(({ freeCapacity, priority, demand }) => freeCapacity.count(priority, [demand]))),
    subscribe: (callback) => {
      const ends = [...supervisors].map((each) => each.subscribe(callback));
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
