import { type BackgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';
import { type OpenPool, type Pool, threads, type Work, work } from '../pools.ts';

export const taskwardenPool: OpenPool = (fn) => openOn('thread', fn);
export const taskwardenChildren: OpenPool = (fn) => openOn('process', fn);

/** All that is counted and watched by default is so here, too: TaskInfo, events, warnings of long waits. */
function openOn(type: 'thread' | 'process', fn: keyof Work): Pool {
  const hosts = {
    poolSize: threads,
    reserveNormal: 0,
    reserveHigh: 0,
    minSize: threads,
    maxSize: threads,
    execArgv: [],
  };
  const supervisor = new TaskSupervisor({
    ...(type === 'thread' ? { threads: hosts } : { processes: hosts }),
    logger: false,
  });
  const tasks = tasksFrom<Work>(work, { supervisor, type });
  const task = tasks[fn] as BackgroundTask<(value: unknown) => unknown>;
  return {
    name: 'taskwarden',
    settings: `${type === 'process' ? 'type process, ' : ''}poolSize ${threads}, no reserves`,
    run: (value) => task(value),
    runCancelable: (value) => {
      const handle = task(value);
      return { ended: handle, cancel: () => handle.cancel() };
    },
    all: (argumentLists) => task.all(argumentLists),
    close: () => supervisor.stop(),
  };
}
