/** Modules and setups that never end loading, in real threads and children: the lane ends them from outside. */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { TaskwardenError } from '../../src/base/errors.ts';
import { HostLane } from '../../src/lanes/hosts/host-lane.ts';
import type { HostWatcher, LaneListener, LaneOutcome, LaneTask } from '../../src/lanes/lane.ts';
import { ProcessHost } from '../../src/lanes/process/process-host.ts';
import { ThreadHost } from '../../src/lanes/thread/thread-host.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import type { Definition } from '../../src/task/definition/definition.ts';
import { defineBySource, defineExport } from '../../src/task/definition/definition-registry.ts';

const hosts = vi.hoisted(() => ({ fromSources: false }));

// Threads and children run what is built: to compile the sources in each takes longer than all else that they do.
vi.mock(import('../../src/platform/package-files.ts'), async (importOriginal) => {
  const original = await importOriginal();
  const built = (host: string) => fileURLToPath(new URL(`../../dist/workers/${host}.cjs`, import.meta.url));
  return { ...original, hostProgram: (host) => (hosts.fromSources ? original.hostProgram(host) : built(host)) };
});

const staff = { minSize: 0, maxSize: 2, idleTimeoutMs: Infinity };
const never = 'data:text/javascript,await new Promise(() => {})';
/** Its event loop does not turn; it sleeps meanwhile, for the processor is for the tests that run beside it. */
const busy = 'data:text/javascript,for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);';
const blockingSetup = new URL('../fixtures/tasks/blocks-setting-up.js', import.meta.url).href;

class Scene implements LaneListener<LaneTask> {
  readonly lane: HostLane<LaneTask>;
  readonly told: string[] = [];
  #settle: (outcome: LaneOutcome) => void = () => {};

  constructor(kind: 'thread' | 'child', failMs: number) {
    const Host = kind === 'thread' ? ThreadHost : ProcessHost;
    const watcher: HostWatcher = {
      broken: () => {},
      teardownFailed: () => {},
      preloadFailed: () => {},
      hostStarted: () => {},
      hostExited: () => {},
      loadsLong: (_, __, what, ms) => this.told.push(`${what} for ${ms} ms`),
    };
    this.lane = new HostLane<LaneTask>(kind, staff, {
      watcher,
      startHost: (options, listener) => new Host(options, { idPrefix: 'x-' }, listener).slots,
      limits: { warnMs: failMs / 5, failMs },
    });
    this.lane.subscribe(this);
  }

  /** What the task comes to, which is handed over as often as it is given back. */
  run(definition: Definition): Promise<LaneOutcome> {
    this.lane.run([
      {
        id: '1',
        sequence: 1,
        name: definition.name,
        definition,
        options: resolveTaskOptions({}, 'it'),
        args: [],
        attempt: 0,
        runInScope: (call) => call(),
      },
    ]);
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  started(): void {
    this.told.push('started');
  }

  ended(_: LaneTask, outcome: LaneOutcome): void {
    this.#settle(outcome);
  }

  returned([task]: readonly LaneTask[]): void {
    this.told.push('returned');
    this.lane.run([task as LaneTask]);
  }

  prefetchedBegan(): void {}
  prefetchedReturned(): void {}
  idleHostExited(): void {}

  slotTaken(): void {}

  slotReleased(): void {
    this.told.push('slotReleased');
  }

  progress(): void {}
  message(): void {}
}

const lanes: HostLane<LaneTask>[] = [];
afterEach(() => Promise.all(lanes.splice(0).map((lane) => lane.close(1_000))));

function scene(kind: 'thread' | 'child', failMs = 1_000): Scene {
  const made = new Scene(kind, failMs);
  lanes.push(made.lane);
  return made;
}

describe.each(['thread', 'child'] as const)('in a %s', (kind) => {
  it.each([
    ['a module that keeps its thread busy', busy],
    ['a module that awaits what never comes', never],
  ])('%s is told of, and fails its task; the next has another host', async (_, moduleUrl) => {
    const made = scene(kind);
    const outcome = await made.run(defineExport(moduleUrl, 'f'));
    expect(outcome).toMatchObject({ kind: 'unloadable', error: expect.any(TaskwardenError) });
    const { error } = outcome as { error: TaskwardenError };
    expect([error.code, error.message]).toEqual([
      'MODULE_LOAD_FAILED',
      `${moduleUrl} is still loading after 1 s: its event loop is blocked, or what it awaits may never come`,
    ]);
    expect(made.told).toEqual([`${moduleUrl} for 200 ms`, 'slotReleased', 'started']);
    expect(await made.run(defineBySource('one', () => 1))).toMatchObject({ kind: 'result', value: 1 });
  });

  it('a setup that blocks its thread fails its task', async () => {
    const outcome = await scene(kind, 4_000).run(defineExport(blockingSetup, 'neverSetUp'));
    expect(outcome).toMatchObject({ kind: 'unloadable', error: { code: 'LANE_SETUP_FAILED' } });
    expect((outcome as { error: Error }).error.message).toMatch(/blocks-setting-up\.js gives laneSetup.* after 4 s/);
  });

  it('where nothing settles any more, a module fails its task', async () => {
    const made = scene(kind);
    const poison = defineBySource('poison', () => {
      Object.defineProperty(Object.prototype, 'then', { value: () => {}, configurable: true });
    });
    expect(await made.run(poison)).toMatchObject({ kind: 'result' });
    const outcome = await made.run(defineExport('node:path', 'basename'));
    expect(outcome).toMatchObject({ kind: 'unloadable', error: { code: 'MODULE_LOAD_FAILED' } });
  });

  it('a task whose host was busy before it came to it is given back, and runs', async () => {
    const made = scene(kind);
    const leaves = defineBySource('leaves', () => {
      setImmediate(() => {
        for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
      });
    });
    expect(await made.run(leaves)).toMatchObject({ kind: 'result' });
    expect(await made.run(defineBySource('two', () => 2))).toMatchObject({ kind: 'result', value: 2 });
    expect(made.told.filter((each) => each === 'returned').length).toBeLessThanOrEqual(1);
  });

  it('runs the sources where the package is not built', async () => {
    hosts.fromSources = true;
    onTestFinished(() => {
      hosts.fromSources = false;
    });
    expect(await scene(kind, 10_000).run(defineBySource('three', () => 3))).toMatchObject({ kind: 'result', value: 3 });
  });
});
