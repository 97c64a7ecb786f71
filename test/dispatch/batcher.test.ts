/** Which tasks make a batch. */
import { describe, expect, it } from 'vitest';
import { Batcher } from '../../src/dispatch/batcher.ts';
import type { Lane } from '../../src/lanes/lane.ts';
import type { Priority } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import type { TaskSpec } from '../../src/task/call/task-options.ts';
import { resolveTaskOptions, type TaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import { startNext } from '../fixtures/start-next.ts';
import { noOwner } from '../task/no-owner.ts';

const add = defineBySource('add', (a: number, b: number) => a + b);
const other = defineBySource('other', () => {});

/** A lane that takes at most so many together. */
function laneFor(room: number): Lane<Task> {
  const none = () => {};
  return {
    subscribe: none,
    [Symbol.iterator]: () => [][Symbol.iterator](),
    roomFor: () => room,
    run: none,
    prefetch: () => false,
    takeBack: () => false,
    reachOf: () => 'waits',
    withdraw: () => false,
    recall: none,
    stop: none,
    send: none,
    lend: () => false,
    resume: () => false,
    recycle: async () => {},
    kill: none,
    ready: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

class Scene {
  readonly batcher = new Batcher();
  readonly pool: PriorityPool<Task> = new PriorityPool<Task>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
  room = 256;
  #sequence = 0;

  spec(options: TaskOptions = {}, definition: typeof add = add): TaskSpec {
    return { definition, options: resolveTaskOptions(options, 'it') };
  }

  wait(count: number, spec: TaskSpec = this.spec(), args: readonly unknown[] = []): Task[] {
    return Array.from({ length: count }, () => {
      this.#sequence += 1;
      const task = new Task(spec, args, this.#sequence, noOwner);
      task.enqueue();
      this.pool.put(task);
      return task;
    });
  }

  /** Known to run for so long. */
  makeFast(runMs = 0.001): this {
    const [task] = this.wait(1) as [Task];
    this.pool.remove(task);
    this.batcher.record(task, runMs);
    return this;
  }

  gather(free = 1): readonly Task[] {
    const task = startNext(this.pool) as Task;
    return this.batcher.gather(task, this.pool, laneFor(this.room), free);
  }
}

describe('gather()', () => {
  it('takes those that wait behind a task along, in their order, and they have its slot', () => {
    const scene = new Scene().makeFast();
    const tasks = scene.wait(10);
    expect(scene.gather()).toEqual(tasks);
    expect(tasks.slice(1).every(({ hasSlot }) => hasSlot)).toBe(true);
    expect([scene.pool.running, scene.pool.waiting]).toEqual([1, 0]);
  });

  it('keeps nothing of tasks of the event loop, of which each may have a function of its own', () => {
    const scene = new Scene();
    const onLoop = scene.spec({ type: 'loop' });
    const [ended, first] = scene.wait(10, onLoop) as [Task, Task];
    scene.pool.remove(ended);
    scene.batcher.record(ended, 0.001);
    expect(scene.gather()).toEqual([first]);
  });

  it('leaves a task alone that has never run', () => {
    const scene = new Scene();
    const [first] = scene.wait(10);
    expect(scene.gather()).toEqual([first]);
    expect(scene.pool.waiting).toBe(9);
  });

  it('leaves a task alone that takes long', () => {
    const scene = new Scene().makeFast(5);
    const [first] = scene.wait(10);
    expect(scene.gather()).toEqual([first]);
  });

  it('takes no more than the lane has room for', () => {
    const scene = new Scene().makeFast();
    const tasks = scene.wait(10);
    scene.room = 3;
    expect(scene.gather()).toEqual(tasks.slice(0, 3));
    expect(scene.pool.waiting).toBe(7);
  });

  it('takes none of another definition, nor any behind it', () => {
    const scene = new Scene().makeFast();
    const before = scene.wait(2);
    const between = scene.wait(1, scene.spec({}, other as unknown as typeof add));
    scene.wait(2);
    expect(scene.gather()).toEqual(before);
    expect(scene.pool.queues('normal')[0].first).toBe(between[0]);
  });

  it('takes none of another name, but any with other options', () => {
    const scene = new Scene().makeFast();
    const tasks = [...scene.wait(1), ...scene.wait(1, scene.spec({ timeoutMs: 5, retries: 2, taskId: 'mine' }))];
    scene.wait(1, scene.spec({ name: 'otherwise' }));
    expect(scene.gather()).toEqual(tasks);
  });

  it('takes none of another priority', () => {
    const scene = new Scene().makeFast();
    const [low] = scene.wait(2, scene.spec({ priority: 'low' })) as [Task];
    const high = scene.wait(2, scene.spec({ priority: 'high' }));
    expect(scene.gather()).toEqual(high);
    expect(scene.pool.queues('low')[0].first).toBe(low);
  });

  it('takes none along while one of a higher priority waits', () => {
    const scene = new Scene().makeFast();
    const tasks = scene.wait(3, scene.spec({ priority: 'low' }));
    const low = startNext(scene.pool) as Task;
    scene.wait(1, scene.spec({ priority: 'high' }));
    expect(scene.batcher.gather(low, scene.pool, laneFor(256), 1)).toEqual([tasks[0]]);
  });

  it('sends each alone that hands something over', () => {
    const scene = new Scene().makeFast();
    const transfer = scene.spec({ transfer: () => [] });
    const [first] = scene.wait(1, transfer);
    scene.wait(3);
    expect(scene.gather()).toEqual([first]);
    const again = new Scene().makeFast();
    const before = again.wait(2);
    again.wait(1, transfer);
    again.wait(1);
    expect(again.gather()).toEqual(before);
  });

  it('sends each alone that has a long text', () => {
    const text = 'x'.repeat(16_384);
    const scene = new Scene().makeFast();
    const [first] = scene.wait(3, scene.spec(), [1, `${text}x`]);
    expect(scene.gather()).toEqual([first]);
    const again = new Scene().makeFast();
    const before = again.wait(2, again.spec(), [text]);
    again.wait(1, before[0]?.spec, [`${text}x`]);
    expect(again.gather()).toEqual(before);
  });

  it('leaves other free slots their share', () => {
    const scene = new Scene().makeFast();
    scene.wait(9);
    expect(scene.gather(3).length).toBeLessThanOrEqual(4);
  });

  it('has an estimate for each definition', () => {
    const scene = new Scene().makeFast();
    const spec = scene.spec({}, other as unknown as typeof add);
    const [first] = scene.wait(3, spec);
    expect(scene.gather()).toEqual([first]);
  });
});

it.each<Priority>(['critical', 'high', 'normal', 'low'])('%s tasks make batches, too', (priority) => {
  const scene = new Scene().makeFast();
  const tasks = scene.wait(4, scene.spec({ priority }));
  expect(scene.gather()).toEqual(tasks);
});

describe('perSlot()', () => {
  const need = { type: 'thread', definition: add } as const;

  it('is one where nobody knows how long the tasks run, or they run long', () => {
    expect(new Scene().batcher.perSlot(need)).toBe(1);
    expect(new Scene().makeFast(5).batcher.perSlot(need)).toBe(1);
  });

  it('is as many as run in a millisecond, and few of those that take nothing', () => {
    expect(new Scene().makeFast(0.25).batcher.perSlot(need)).toBe(4);
    expect(new Scene().makeFast(0).batcher.perSlot(need)).toBe(16);
  });

  it('is one on the event loop, for what is handed over, and where it may be anything', () => {
    const { batcher } = new Scene().makeFast();
    expect(batcher.perSlot({ ...need, type: 'loop' })).toBe(1);
    expect(batcher.perSlot({ ...need, transfer: () => [] })).toBe(1);
    expect(batcher.perSlot({ type: 'thread' })).toBe(1);
  });
});
