/** What a host is told of a batch, and what it is to keep no longer. */
import { expect, it } from 'vitest';
import { sendBatch } from '../../src/lanes/hosts/run-message.ts';
import type { LaneTask } from '../../src/lanes/lane.ts';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';
import type { HostMessage } from '../../src/lanes/wire/protocol.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import type { Definition, WireDefinition } from '../../src/task/definition/definition.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';

function taskOf(definition: Definition, args: readonly unknown[] = []): LaneTask {
  return {
    id: '1',
    sequence: 1,
    name: definition.name,
    definition,
    options: resolveTaskOptions({}, 'it'),
    args,
    attempt: 0,
    runInScope: (call) => call(),
  };
}

it('a host keeps 500 definitions: the oldest make room, but for what is needed now', () => {
  const posted: HostMessage[] = [];
  const host = {
    id: 1,
    control: new ControlBlock(),
    post: (message: HostMessage) => posted.push(message),
    end: () => {},
  };
  const known = new Map<number, WireDefinition>();
  const know = (index: number) => known.set(index, { index, name: 'f' });
  const next = taskOf(defineBySource('next', () => 'next'));
  for (let index = 1_000_000; index < 1_000_499; index += 1) know(index);
  sendBatch(host, [next], 0, known);
  know(1_000_499);
  sendBatch(host, [taskOf({ index: 1_000_000, name: 'f' })], 0, known);
  know(1_000_500);
  sendBatch(host, [next], 0, known);
  sendBatch(host, [next], 0);
  const [first, second, third, last] = posted;
  expect(first).toMatchObject({ define: { index: next.definition.index }, forget: [] });
  expect(second).toMatchObject({ define: { index: 1_000_000 }, forget: [1_000_001] });
  expect(third).toMatchObject({ define: { index: next.definition.index }, forget: [1_000_000] });
  expect(known.size).toBe(499);
  for (const key of ['define', 'forget']) expect(last).not.toHaveProperty(key);
});

it('those of a batch are sent together as far as that goes: one that seems flat and can not be cloned fails alone', () => {
  const posted: HostMessage[] = [];
  const host = {
    id: 1,
    control: new ControlBlock(),
    post: (message: HostMessage) => posted.push(structuredClone(message)),
    end: () => {},
  };
  const definition = defineBySource('seems', (value: unknown) => value);
  const bad = Object.setPrototypeOf(new WeakMap(), Object.prototype);
  const batch = [{ n: 1 }, bad, { n: 3 }, 4].map((value) => taskOf(definition, [value]));
  const failures = sendBatch(host, batch, 0);
  expect(failures.map(({ task }) => task)).toEqual([batch[1]]);
  expect(posted).toMatchObject([
    { kind: 'run', args: [null, null, null, [4]] },
    { kind: 'args', args: [{ n: 1 }] },
    { kind: 'args', args: null },
    { kind: 'args', args: [{ n: 3 }] },
  ]);
  posted.length = 0;
  expect(sendBatch(host, [batch[0], batch[2], batch[3]] as LaneTask[], 4)).toEqual([]);
  expect(posted).toMatchObject([{ kind: 'run', args: { arity: 1, values: [{ n: 1 }, { n: 3 }, 4] } }]);
});
