/** A lane with a host that does only what the test says. */
import { expect, it } from 'vitest';
import type { HostListener } from '../../src/lanes/hosts/host.ts';
import { HostLane } from '../../src/lanes/hosts/host-lane.ts';
import type { LaneListener, LaneTask } from '../../src/lanes/lane.ts';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';
import type { Priority } from '../../src/queue/priority.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';

const definition = defineBySource('f', () => {});

function task(id: string, priority: Priority = 'normal'): LaneTask {
  const options = resolveTaskOptions({ priority }, 'it');
  return { id, sequence: 1, name: 'f', definition, options, args: [], attempt: 0, runInScope: (call) => call() };
}

function laneOfOneHost(control: ControlBlock, nice?: number) {
  const none = () => {};
  let listener!: HostListener;
  const lane = new HostLane<LaneTask>(
    'thread',
    { minSize: 0, maxSize: 1, idleTimeoutMs: Infinity, ...(nice !== undefined && { nice }) },
    {
      watcher: {
        broken: none,
        loadsLong: none,
        teardownFailed: none,
        preloadFailed: none,
        hostStarted: none,
        hostExited: none,
      },
      startHost: (_, given) => {
        listener = given;
        return [{ id: 1, control, post: none, end: none }];
      },
    },
  );
  return { lane, host: () => listener };
}

it('a prefetched task that has begun when it is wanted back, at the end of the one before it, runs on, once', () => {
  const told: string[] = [];
  const control = new ControlBlock();
  const { lane, host } = laneOfOneHost(control);
  const [first, before, prefetched] = ['first', 'before', 'prefetched'].map((id) => task(id)) as [
    LaneTask,
    LaneTask,
    LaneTask,
  ];
  const listener: Partial<LaneListener<LaneTask>> = {
    started: ({ id }) => told.push(`${id} started`),
    ended: (ended) => {
      told.push(`${ended.id} ended`);
      if (ended === before) told.push(`taken back: ${lane.takeBack(prefetched)}`);
    },
    prefetchedBegan: ({ id }) => told.push(`${id} began`),
    returned: (tasks) => told.push(`${tasks.map(({ id }) => id)} returned`),
    slotReleased: () => told.push('slot released'),
  };
  lane.subscribe(listener as LaneListener<LaneTask>);
  /** It has ended with what is posted as a message. */
  const end = (item: number) => {
    control.finishByMessage(item, 1);
    host().reply({ kind: 'result', item, value: 'posted', isBuffer: false });
  };

  lane.run([first]);
  host().up();
  control.begin(0, 0);
  host().reply({ kind: 'begin' });
  end(0);
  lane.run([before]);
  control.begin(1, 0);
  expect(lane.prefetch(prefetched, () => true)).toBe(true);
  told.length = 0;
  control.finishByMessage(1, 1);
  control.begin(2, 1); // the host is ahead of what is heard of it
  end(1);
  expect(told).toEqual(['before ended', 'prefetched began', 'taken back: false', 'prefetched started']);
  told.length = 0;
  end(2);
  expect(told).toEqual(['slot released', 'prefetched ended']);
  expect(lane.size).toEqual({ total: 1, idle: 1 });
});

it('no other task waits at a host for urgent tasks, if hosts have their own system priorities', () => {
  const waits = (nice: number | undefined, priority: Priority): boolean => {
    const control = new ControlBlock();
    const { lane, host } = laneOfOneHost(control, nice);
    lane.subscribe({ started: () => {} } as Partial<LaneListener<LaneTask>> as LaneListener<LaneTask>);
    lane.run([task('running', 'high')]);
    host().up();
    control.begin(0, 0);
    host().reply({ kind: 'begin' });
    return lane.prefetch(task('next', priority), () => true);
  };

  expect([waits(5, 'low'), waits(5, 'normal'), waits(5, 'high')]).toEqual([false, false, true]);
  expect(waits(undefined, 'low')).toBe(true);
});
