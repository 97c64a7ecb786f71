/** Modules that can't be loaded now may be later; and those that fail for ever harm nobody. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TaskOptions, TaskSupervisor, tasksFrom } from 'taskwarden';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';

const directory = mkdtempSync(join(tmpdir(), 'store-'));
const narrow = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity };
let store: string;
let stores = 0;

beforeEach(() => {
  stores += 1;
  store = join(directory, `${stores}`);
});
afterAll(() => rmSync(directory, { recursive: true }));

function reads(options: TaskOptions<never>): () => PromiseLike<number[]> {
  const url = new URL('../fixtures/tasks/opens-store.js', import.meta.url);
  url.searchParams.set('store', store);
  return tasksFrom<{ reads(): number[] }>(url, options).reads;
}

describe.each(['thread', 'process'] as const)('a module that could not be loaded in a %s', (type) => {
  it('is loaded anew for the next task, in another one', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: narrow, processes: narrow });
    const task = reads({ supervisor, type });
    expect(await failure(task())).toMatchObject({
      code: 'MODULE_LOAD_FAILED',
      cause: { message: 'the store is down' },
    });
    writeFileSync(store, '');
    const where = await task();
    expect(await task()).toEqual(where);
    expect(supervisor.getInfo()[type === 'thread' ? 'threads' : 'processes'].size).toBe(1);
  });

  it('is loaded anew by a retry, which counts its attempts', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: narrow, processes: narrow });
    const attempts: number[] = [];
    const retryIf = (_: unknown, attempt: number) => {
      attempts.push(attempt);
      if (attempt === 2) writeFileSync(store, '');
      return true;
    };
    await reads({ supervisor, type, retries: 3, retryDelayMs: 0, retryIf } as TaskOptions<never>)();
    expect(attempts).toEqual([1, 2]);
    expect(existsSync(store)).toBe(true);
  });
});

describe('a module that fails for ever', () => {
  it('fails each task, without a thread for each, and harms none of another module', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: narrow });
    let threads = 0;
    supervisor.on('thread:started', () => {
      threads += 1;
    });
    const { basename } = tasksFrom<typeof import('node:path')>('node:path', { supervisor });
    const task = reads({ supervisor });
    const begunAt = performance.now();
    for (let n = 0; n < 100; n += 1) {
      const [error, name] = await Promise.all([failure(task()), basename('/a/b')]);
      expect([error, name]).toEqual([expect.objectContaining({ code: 'MODULE_LOAD_FAILED' }), 'b']);
    }
    // Four at once, then ever rarer; `basename` is in none of those that follow, and is loaded once more in each.
    const rareMs = (performance.now() - begunAt) / 100;
    expect(threads).toBeLessThanOrEqual(2 * (5 + rareMs));
    writeFileSync(store, '');
    await reads({ supervisor, retries: 20, retryDelayMs: 100 })();
  });

  it('has its retries end', async () => {
    await using supervisor = new TaskSupervisor({ logger: false, threads: narrow });
    const ended: number[] = [];
    supervisor.on('task:failed', ({ task }) => ended.push(task.attempt));
    await failure(reads({ supervisor, retries: 5, retryDelayMs: 0 })());
    expect(ended).toEqual([6]);
  });
});
