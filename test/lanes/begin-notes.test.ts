/** What a child has begun is known when it dies, whether it notes that in a file or has none to note it in. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { TaskSupervisor } from 'taskwarden';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { Records, recorded } from '../fixtures/tasks/recorded.ts';

/** As on a system without files in memory. */
function refuseFiles(): void {
  const { openSync } = fs;
  vi.spyOn(fs, 'openSync').mockImplementation((path, ...rest) => {
    if (path === '/dev/shm') throw new Error('there is none');
    return openSync(path, ...rest);
  });
  syncBuiltinESMExports();
}

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

function superviseOne(): TaskSupervisor {
  return new TaskSupervisor({ processes: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 }, logger: false });
}

describe.each([
  ['with a file', () => {}],
  ['without a file', refuseFiles],
])('a child %s to note in', (_, prepare) => {
  it('that dies as soon as it has begun with its task takes that along, which is not run again', async () => {
    prepare();
    using records = new Records();
    await using supervisor = superviseOne();
    const run = recorded.with({ supervisor });
    await run('number', 0); // it has loaded the module
    const dies = run('isKilled', 1, records.folder);
    expect(await failure(dies)).toMatchObject({ code: 'TASK_CRASHED', signal: 'SIGKILL' });
    expect(await run('number', 2, records.folder)).toBe(2);
    expect(records.order).toEqual([1, 2]);
  });

  it('that is busy with its task lets that be cancelled, and is ended for it', async () => {
    prepare();
    using records = new Records();
    await using supervisor = superviseOne();
    const run = recorded.with({ supervisor, stopGraceMs: 1 });
    await run('number', 0);
    const spins = run('spinsOn', 1, records.folder);
    while (records.order.length === 0) await new Promise((resolve) => setImmediate(resolve));
    spins.cancel();
    expect(await failure(spins)).toMatchObject({ code: 'TASK_CANCELED' });
    expect(await run('number', 2, records.folder)).toBe(2);
    expect(records.order).toEqual([1, 2]);
  });
});
