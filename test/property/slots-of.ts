/** The slots of lanes that a test stands in for, by type. */
import { Batcher } from '../../src/dispatch/batcher.ts';
import type { LaneRegistry } from '../../src/dispatch/lane-registry.ts';
import { Slots } from '../../src/dispatch/slots.ts';
import { TaskTree } from '../../src/dispatch/task-tree.ts';
import { Capacity } from '../../src/queue/capacity.ts';
import { FreeCapacity } from '../../src/queue/free-capacity.ts';
import type { TaskType } from '../../src/task/record/task-type.ts';

export function slotsOf(byType: Readonly<Record<string, object>>): {
  readonly lanes: LaneRegistry;
  readonly slots: Slots;
} {
  const lanes = {
    of: (type: TaskType) => byType[type],
    [Symbol.iterator]: () => Object.values(byType).values(),
  } as unknown as LaneRegistry;
  const slots = new Slots({
    lanes,
    tree: new TaskTree(),
    batcher: new Batcher(),
    capacity: new Capacity(() => 0),
    freeCapacity: new FreeCapacity<TaskType>((type) => lanes.of(type).pool),
  });
  slots.subscribe({ hopeless: () => {} });
  return { lanes, slots };
}
