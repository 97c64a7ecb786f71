// Prints how many tasks a second a courier on a new file adds, fetches and returns, each of them on the disk when it is said to be.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SqliteTaskCourier } from 'taskwarden/sqlite';

const [layout, number] = process.argv.slice(2);
const count = Number(number);
const cache = join(import.meta.dirname, '../../node_modules/.cache'); // on a disk, where the temporary folder may be memory
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, 'bench-'));
const courier = new SqliteTaskCourier(join(folder, 'tasks.db'));

/** So many at a time, each task by three calls of its own. */
async function oneByOne(lanes, tasks) {
  let left = tasks;
  const lane = async () => {
    for (; left > 0; left -= 1) {
      await courier.addTaskToQueue('work', { n: left });
      const task = await courier.waitForTask('work');
      await courier.returnTaskResult('work', task, task.data.n);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** So many at a time, by three calls for all. */
async function inBulk(size, tasks) {
  for (let left = tasks; left > 0; left -= size) {
    const data = Array.from({ length: size }, (_, n) => ({ n }));
    await courier.bulkAddTasksToQueue('work', data);
    const fetched = await courier.bulkGetTasks('work', size);
    await courier.bulkReturnTaskResults(
      'work',
      fetched.map((task) => [task, task.data.n]),
    );
  }
}

const layouts = {
  single: (tasks) => oneByOne(1, tasks),
  'one by one': (tasks) => oneByOne(64, tasks),
  bulk: (tasks) => inBulk(1_000, tasks),
};
try {
  await layouts[layout](Math.min(count, 1_000));
  const startedAt = performance.now();
  await layouts[layout](count);
  console.log((count / (performance.now() - startedAt)) * 1_000);
} finally {
  await courier.close();
  rmSync(folder, { recursive: true });
}
