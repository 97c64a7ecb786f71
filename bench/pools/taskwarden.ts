import { type BackgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';
import { type Pool, threads, type Work, work } from '../pools.ts';

/** All that is counted and watched by default is so here, too: TaskInfo, events, warnings of long waits. */
export function taskwardenPool(fn: keyof Work): Pool {
  const supervisor = new TaskSupervisor({
    threads: { poolSize: threads, reserveNormal: 0, reserveHigh: 0, minSize: threads, maxSize: threads, execArgv: [] },
    logger: false,
  });
  const task = tasksFrom<Work>(work, { supervisor })[fn] as BackgroundTask<(value: unknown) => unknown>;
  return {
    name: 'taskwarden',
    settings: `poolSize ${threads}, no reserves`,
    run: (value) => task(value),
    runCancelable: (value) => {
      const handle = task(value);
      return { ended: handle, cancel: () => handle.cancel() };
    },
    close: () => supervisor.stop(),
  };
}
