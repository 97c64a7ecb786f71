/** A batch as it is told to a host. */
import { type WireDefinition, wireDefinition } from '../task/definition.ts';
import { packArgs, packIds } from './columns.ts';
import type { LaneTask } from './lane.ts';
import type { RunMessage } from './protocol.ts';

/** `define`: the host is to load what its one task needs. */
export function runMessage<T extends LaneTask>(batch: readonly T[], define: boolean): RunMessage {
  const [first] = batch as readonly [T];
  return {
    kind: 'run',
    definition: first.definition.index,
    ...(define && { define: wireDefinition(first.definition) }),
    name: first.name,
    items: batch.length,
    ids: packIds(batch),
    args: packArgs(batch),
    ...(first.carried && { carried: first.carried }),
    ...(batch.some(({ attempt }) => attempt > 0) && { attempts: batch.map(({ attempt }) => attempt + 1) }),
    ...(batch.some(({ options }) => options.idempotencyKey !== undefined) && {
      keys: batch.map(({ options }) => options.idempotencyKey),
    }),
  };
}

/** What a host has to load for a task. */
export function definitionsOf({ definition, carried }: LaneTask): readonly WireDefinition[] {
  return carried === undefined ? [definition] : [definition, carried.definition];
}
