/**
 * Gives the microseconds of processor time that a task costs on the event loop, from its call to its end, in a flood of tasks
 * that are evenly spread over so many keys.
 */
import { backgroundTask, type ModuleOptions, type TaskOptions, TaskSupervisor } from 'taskwarden';

const limits: Readonly<Record<string, ModuleOptions>> = {
  'a key alone': {},
  maxPerKey: { maxPerKey: 1 },
  fair: { fair: true },
  rate: { rate: { max: 1_000_000_000, perMs: 1, perKey: true } },
  unique: {},
};

export async function run(limit: string, keys: string, tasks: string): Promise<number> {
  const supervisor = new TaskSupervisor({ loop: { poolSize: 4 }, logger: false, timeoutWarningMs: Infinity });
  const module = supervisor.module('limited', limits[limit]);
  const options: TaskOptions<(n: number) => number> = {
    type: 'loop',
    module,
    key: (n) => `key ${n % Number(keys)}`,
    ...(limit === 'unique' && { unique: 'join' }),
  };
  const task = backgroundTask((n: number) => n, { name: 'number', ...options });
  await flood(task, Number(tasks) / 10);
  const before = process.cpuUsage();
  await flood(task, Number(tasks));
  const { user, system } = process.cpuUsage(before);
  await supervisor.stop();
  return (user + system) / Number(tasks);
}

async function flood(task: (n: number) => PromiseLike<number>, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => task(n)));
}
