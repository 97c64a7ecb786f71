/** Limits of modules by key and in a time, on real lanes; and the end of a module. */
import { backgroundTask, type ModuleOptions, TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { callsInModule } from '../fixtures/tasks/keyed.ts';

const quick = backgroundTask(async (what: string) => what, { name: 'quick', type: 'loop' });

function supervise(): TaskSupervisor {
  return new TaskSupervisor({
    threads: { poolSize: 3 },
    loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 },
    logger: false,
  });
}

describe('maxPerKey', () => {
  it('lets so many of each key run, holds up no other, and keeps the order of each', async () => {
    await using supervisor = supervise();
    await using gate = await Gate.create();
    const module = supervisor.module('tenants', { maxPerKey: 1 });
    const held = holds.with({ module, key: (_port, tenant) => tenant.slice(0, 1) });
    const handles = ['a1', 'a2', 'b1', 'b2', 'c1'].map((tenant) => held(gate.port, tenant));
    await gate.arrived(3);
    expect(gate.arrivals.toSorted()).toEqual(['a1', 'b1', 'c1']);
    expect([module.running, module.waiting]).toEqual([3, 2]);
    gate.open();
    await Promise.all(handles);
    expect([module.running, module.waiting]).toEqual([0, 0]);
  });

  it('is lent by a task to those of its key that it calls and waits for', async () => {
    await using supervisor = supervise();
    supervisor.module('nested', { maxPerKey: 1 });
    expect(await callsInModule.with({ module: supervisor.module('nested'), key: 'a' })('nested', 3)).toBe(0);
  });
});

describe('fair', () => {
  it('lets keys take turns, and those without a key as one more', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('tenants', { fair: true });
    const order: string[] = [];
    const note = backgroundTask(async (what: string) => void order.push(what), { name: 'note', type: 'loop' });
    const keyed = note.with({ module, key: (what) => what.slice(0, 1) });
    const handles = ['a1', 'a2', 'a3', 'b1', 'b2'].map((what) => keyed(what));
    handles.push(note.with({ module })('x1'), note.with({ module })('x2'), keyed('c1'));
    await Promise.all(handles);
    // The second one had its place before those of others came.
    expect(order).toEqual(['a1', 'a2', 'b1', 'x1', 'c1', 'a3', 'b2', 'x2']);
  });
});

describe('rate', () => {
  it('spreads starts evenly, a burst first', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('mails', { rate: { max: 50, perMs: 1_000, burst: 3 } });
    const starts: number[] = [];
    const start = backgroundTask(async () => void starts.push(performance.now()), { name: 'start', type: 'loop' });
    const limited = start.with({ module });
    await Promise.all(Array.from({ length: 8 }, () => limited()));
    expect(starts).toHaveLength(8);
    // What was taken at once may begin late: only the span from the first to the last tells.
    expect((starts.at(-1) as number) - (starts[0] as number)).toBeGreaterThan(4 * 20);
  });

  it('holds for each input of all(), and for each key alone with perKey', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('calls', { rate: { max: 1, perMs: 20, perKey: true } });
    const began = performance.now();
    const limited = quick.with({ module, key: (what) => what });
    expect(await limited.all([['a'], ['b'], ['a'], ['a']])).toEqual(['a', 'b', 'a', 'a']);
    expect(performance.now() - began).toBeGreaterThanOrEqual(38);
  });

  it('can be changed and taken away while tasks wait', async () => {
    await using supervisor = supervise();
    const module = supervisor.module('calls', { rate: { max: 1, perMs: 3_600_000 } });
    const handles = ['a', 'b', 'c'].map((what) => quick.with({ module })(what));
    await handles[0];
    expect(handles[1]?.status).toBe('queued');
    module.rate = undefined;
    expect(await Promise.all(handles)).toEqual(['a', 'b', 'c']);
  });
});

it('limits are changed by module(), which leaves what it is not told', async () => {
  await using supervisor = supervise();
  const module = supervisor.module('all', { maxWorkers: 3, maxPerKey: 2, fair: true, rate: { max: 1, perMs: 5 } });
  expect(supervisor.module('all', { maxPerKey: 4 })).toBe(module);
  expect([module.maxWorkers, module.maxPerKey, module.fair, module.rate]).toEqual([3, 4, true, { max: 1, perMs: 5 }]);
});

it.each<[string, unknown, RegExp]>([
  ['maxPerKey', 0, /^option "maxPerKey" of module\(\) must be a whole number, 1 or more, or Infinity; got 0$/],
  ['fair', 1, /^option "fair" of module\(\) must be true or false; got 1$/],
  ['rate', 5, /^rate takes an object of options; got 5$/],
  ['rate', { max: 1 }, /^option "rate" of module\(\) needs both "max" and "perMs"$/],
  ['rate', { max: 0, perMs: 1 }, /^option "max" of rate must be a whole number, 1 or more; got 0$/],
  ['rate', { max: 1, perMs: 0 }, /^option "perMs" of rate must be a number of milliseconds above 0; got 0$/],
  ['rate', { max: 1, perMs: 1, burst: 1.5 }, /^option "burst" of rate must be a whole number, 1 or more; got 1.5$/],
  ['rate', { max: 1, perMs: 1, perKeys: true }, /^rate has no option "perKeys": did you mean "perKey"\?/],
])('refuses a bad %s: %j', (option, value, message) => {
  const supervisor = new TaskSupervisor({ logger: false });
  expect(() => supervisor.module('bad', { [option]: value } as ModuleOptions)).toThrow(message);
  expect(supervisor.getInfo().modules).toEqual({});
});

it('a module that is closed finishes what it has, takes no more, and leaves its name', async () => {
  await using supervisor = supervise();
  await using gate = await Gate.create();
  const module = supervisor.module('once', { maxWorkers: 1 });
  const handles = [holds.with({ module })(gate.port, '1'), holds.with({ module })(gate.port, '2')];
  module.close();
  module.close();
  expect(supervisor.getInfo().modules).toEqual({});
  expect(await failure(quick.with({ module })('late'))).toMatchObject({ code: 'MODULE_CLOSED' });
  await gate.arrived(1);
  expect([module.running, module.waiting, module.isClosed]).toEqual([1, 1, true]);
  gate.open();
  await Promise.all(handles);
  expect(supervisor.module('once')).not.toBe(module);
});
