/** What finding a child costs its supervisor, of however many. */
import { expect, it } from 'vitest';
import { Families } from '../../src/dispatch/task-tree.ts';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import { noOwner } from '../task/no-owner.ts';

const spec = { definition: defineBySource('child', () => {}), options: resolveTaskOptions({}, 'it') };

it('finds each of many children by its id, and looks at no other', () => {
  const looks: string[] = [];
  const byId = new Map<string, Task>();
  class Child extends Task {
    override get id(): string {
      looks.push(super.id);
      return super.id;
    }
  }
  const owner = { ...noOwner, assignId: ({ sequence }: Task) => `task ${sequence}` };
  const none = () => {};
  const lent: Task[] = [];
  const families = new Families({
    find: (id) => byId.get(id),
    cancel: none,
    stop: none,
    talk: none,
    free: none,
    submit: none,
    lend: (parent) => lent.push(parent),
    resume: none,
    lendTo: none,
  });
  const parent = new Task(spec, [], 0, owner);
  const children = Array.from({ length: 1_000 }, (_, n) => new Child(spec, [], n + 1, owner));
  for (const child of children) families.adopt(parent, child, none);
  for (const [n, child] of children.entries()) byId.set(`task ${n + 1}`, child);
  for (const n of children.keys()) {
    families.hear(parent, { topic: 'child-command', id: `task ${n + 1}`, command: { kind: 'await' } });
  }
  expect(children.every(({ isAwaited }) => isAwaited)).toBe(true);
  expect(lent).toEqual([parent]);
  expect(looks).toEqual([]);
});

it('knows no child of another parent', () => {
  const canceled: Task[] = [];
  const none = () => {};
  const child = new Task(spec, [], 1, noOwner);
  const families = new Families({
    find: () => child,
    cancel: (task) => void canceled.push(task),
    stop: none,
    talk: none,
    free: none,
    submit: none,
    lend: none,
    resume: none,
    lendTo: none,
  });
  const owner = { ...noOwner, assignId: ({ sequence }: Task) => `task ${sequence}` };
  const parent = new Task(spec, [], 2, owner);
  const stranger = new Task(spec, [], 3, owner);
  families.adopt(parent, child, none);
  const command = { topic: 'child-command', id: 'child', command: { kind: 'cancel', reason: 'it' } } as const;
  families.hear(stranger, command);
  expect(canceled).toEqual([]);
  families.hear(parent, command);
  expect(canceled).toEqual([child]);
});
