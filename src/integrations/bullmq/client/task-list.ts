/** The jobs of a queue in a state. One that can't be read is listed with the reason. */
import type { ListedTask, ListOptions } from '../../../index.ts';
import { listedOf } from '../job/job-format.ts';
import { isTaskMalformed } from '../job/job-reader.ts';
import type { Asked, Link } from '../server/link.ts';
import { isReserved } from '../server/names.ts';

/** @param since Those that completed earlier have expired; in epoch milliseconds. */
export function listTasks(
  link: Link,
  queue: string,
  { state, offset = 0, max = 100 }: ListOptions,
  since: number,
): Promise<ListedTask[]> {
  return link.ask(queue, 'its tasks are not known', async (asked) => {
    const ids = await asked.queue.claims.list({ state, offset, max }, since);
    const tasks = await Promise.all(ids.filter((id) => !isReserved(id)).map((id) => read(asked, id, state)));
    return tasks.filter((task) => task !== undefined);
  });
}

async function read({ queue }: Asked, id: string, state: ListedTask['state']): Promise<ListedTask | undefined> {
  try {
    const job = await queue.find(id);
    return job && listedOf(job, queue.name, state);
  } catch (error) {
    if (!isTaskMalformed(error)) throw error;
    const unknown = { name: undefined, key: undefined, timeStarted: undefined, timeEnded: undefined };
    return { id, ...unknown, state, priority: 'normal', attempts: 0, timeQueued: 0, error };
  }
}
