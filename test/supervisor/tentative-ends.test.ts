/** A task of a batch that may have begun in its child, while somebody would end it only if it still waited. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TaskHandle, TaskSupervisor } from 'taskwarden';
import { expect, it, onTestFinished } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { marks } from '../fixtures/tasks/keyed.ts';

/** How long the child may take to begin what was sent to it, in milliseconds; while this one reads nothing. */
const patienceMs = 500;

it('is canceled though it was to be replaced before, and it was not known whether it had begun', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tentative-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const supervisor = new TaskSupervisor({
    logger: false,
    processes: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 },
  });
  onTestFinished(async () => {
    await supervisor.stop({ wait: false });
  });
  const options = { supervisor, type: 'process' } as const;
  const quick = marks.with(options);
  const replacing = marks.with({ ...options, key: 'one', unique: 'replace' });

  /** One that its child has begun, and that is taken for one that waits here; undefined if they did not share a message. */
  async function begunUnseen(file: string): Promise<{ readonly second: TaskHandle<string> } | undefined> {
    await Promise.all(Array.from({ length: 100 }, () => quick(''))); // so that they are known to be short
    const first = quick('');
    const second = replacing(file);
    await new Promise((resolve) => setImmediate(resolve)); // it is on its way
    for (const until = performance.now() + patienceMs; !existsSync(file) && performance.now() < until; );
    if (existsSync(file) && second.status === 'queued') return { second };
    second.cancel();
    await Promise.allSettled([first, second]);
    return undefined;
  }

  for (let n = 0; ; n += 1) {
    const file = join(folder, `${n}`);
    const begun = await begunUnseen(file);
    if (begun === undefined) continue;
    const { second } = begun;
    const third = replacing(file);
    second.cancel('not wanted');
    third.cancel();
    expect(await failure(second)).toMatchObject({ code: 'TASK_CANCELED', cause: 'not wanted' });
    await Promise.allSettled([third]);
    return;
  }
});
