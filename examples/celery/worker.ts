/** The Node side: serves the queue `node` of Celery, with one function on threads. */
import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { CeleryWorker } from 'taskwarden/celery';

const count = backgroundTask(import.meta.url, function count(text: string): [word: string, count: number][] {
  const counts = new Map<string, number>();
  for (const word of text.toLowerCase().split(/\s+/)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
});

const supervisor = new TaskSupervisor({ threads: { poolSize: 2 } });
const worker = new CeleryWorker({
  broker: process.env['REDIS_URL'] ?? 'redis://localhost',
  queues: ['node'],
  functions: { 'node.count': count },
  supervisor,
});

/** What runs is finished first. */
const stop = () => worker.stop();
process.on('SIGTERM', stop).on('SIGINT', stop).on('disconnect', stop);

await worker.perform();
await supervisor.stop();
if (process.connected) process.disconnect();
