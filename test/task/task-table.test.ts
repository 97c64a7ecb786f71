/** Finding tasks by id: live ones, and the last few that have ended. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { resolveTaskOptions } from '../../src/task/call/task-options.ts';
import { defineBySource } from '../../src/task/definition/definition-registry.ts';
import { Task } from '../../src/task/record/task.ts';
import { TaskTable } from '../../src/task/record/task-table.ts';
import { noOwner } from './no-owner.ts';

const definition = defineBySource('it', () => {});
let table: TaskTable;

beforeEach(() => {
  table = new TaskTable(3);
});

function live(taskId?: string): Task {
  const options = resolveTaskOptions(taskId === undefined ? {} : { taskId }, 'it');
  return new Task({ definition, options }, [], table.nextSequence(), {
    ...noOwner,
    assignId: (task) => table.assignId(task),
  });
}

function end(task: Task): Task {
  task.settle('canceled', new Error('m'));
  table.keep(task);
  return task;
}

const find = (id: string) => table.find(id, []);

describe('ids', () => {
  it('numbers its tasks, and gives each an id of its own with its prefix', () => {
    const tasks = [live(), live(), live()];
    expect(tasks.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(3);
    for (const { id } of tasks) expect(id.startsWith(table.idPrefix)).toBe(true);
  });

  it('takes the id that the options give', () => {
    expect(live('mine').id).toBe('mine');
  });

  it('two tables never give the same id', () => {
    expect(new TaskTable(1).idPrefix).not.toBe(table.idPrefix);
  });
});

describe('finding', () => {
  it('finds a live task once its id was asked for', () => {
    const task = live();
    expect(find(task.id)).toBe(task);
    expect(table.findLive(task.id)).toBe(task);
  });

  it('finds a started task, whose id may be known from inside, though nobody asked for it here', () => {
    const [task, other] = [live(), live()];
    const id = `${table.idPrefix}${'1'.padStart(12, '0')}`;
    expect(find(id)).toBeUndefined();
    expect(table.find(id, [other, task])).toBe(task);
  });

  it('finds an ended task whose id nobody asked for before', () => {
    const task = end(live());
    expect(find(`${table.idPrefix}${'1'.padStart(12, '0')}`)).toBe(task);
  });

  it('an ended task is not live', () => {
    const task = live('mine');
    expect(task.id).toBe('mine');
    end(task);
    expect(find('mine')).toBe(task);
    expect(table.findLive('mine')).toBeUndefined();
  });

  it('does not know other ids', () => {
    end(live());
    for (const id of ['', 'mine', `${table.idPrefix}ffffffffffff`]) {
      expect([find(id), table.findLive(id)]).toEqual([undefined, undefined]);
    }
  });
});

describe('an id given twice', () => {
  it('stays with the live task', () => {
    const first = live('mine');
    expect(first.id).toBe('mine');
    const second = live('mine');
    expect(second.id).toBe('mine');
    expect(table.findLive('mine')).toBe(first);
    end(second);
    expect(table.findLive('mine')).toBe(first);
  });

  it('goes to the new one when the first has ended', () => {
    const first = live('mine');
    expect(first.id).toBe('mine');
    end(first);
    const second = live('mine');
    expect(second.id).toBe('mine');
    expect(find('mine')).toBe(second);
  });

  it('is still that of the new one when the first is forgotten', () => {
    const first = live('mine');
    expect(first.id).toBe('mine');
    end(first);
    const second = live('mine');
    expect(second.id).toBe('mine');
    for (let i = 0; i < 3; i += 1) end(live());
    expect(find('mine')).toBe(second);
  });
});

describe('keeping', () => {
  it('keeps as many ended tasks as it was told, the last ones, in the order of their ends', () => {
    const tasks = Array.from({ length: 5 }, () => live());
    const ids = tasks.map(({ id }) => id);
    for (const task of tasks) end(task);
    expect(table.ended).toEqual(tasks.slice(2));
    expect(ids.map((id) => find(id))).toEqual([undefined, undefined, ...tasks.slice(2)]);
  });

  it('a forgotten task is not found any more, though its id is asked for later', () => {
    const task = end(live('mine'));
    for (let i = 0; i < 3; i += 1) end(live());
    expect(task.id).toBe('mine');
    expect(find('mine')).toBeUndefined();
  });

  it('with 0 it keeps none', () => {
    table = new TaskTable(0);
    const task = live('mine');
    expect(find(task.id)).toBe(task);
    end(task);
    expect([find('mine'), table.ended]).toEqual([undefined, []]);
  });

  it('resized, it forgets the oldest that are too many, or has room for more', () => {
    const tasks = Array.from({ length: 5 }, () => live());
    const ids = tasks.map(({ id }) => id);
    for (const task of tasks) end(task);
    table.resize(1);
    expect(table.ended).toEqual(tasks.slice(4));
    expect(ids.map((id) => find(id) !== undefined)).toEqual([false, false, false, false, true]);
    table.resize(2);
    const next = [end(live()), end(live())];
    expect(table.ended).toEqual(next);
    table.resize(0);
    expect([table.ended, ids.map((id) => find(id))]).toEqual([[], ids.map(() => undefined)]);
  });

  it('keeps what a list would keep, however it is resized in between', () => {
    const operation = fc.oneof(
      { weight: 5, arbitrary: fc.constant('end' as const) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 5 }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.array(operation, { maxLength: 60 }), (initial, operations) => {
        table = new TaskTable(initial);
        let size = initial;
        let kept: Task[] = [];
        const all: Task[] = [];
        for (const each of operations) {
          if (each === 'end') {
            const task = live();
            if (task.sequence % 2 === 0) void task.id;
            kept.push(end(task));
            all.push(task);
          } else {
            size = each;
            table.resize(size);
          }
          kept = size === 0 ? [] : kept.slice(-size);
          expect(table.ended).toEqual(kept);
        }
        for (const task of all) expect(find(task.id)).toBe(kept.includes(task) ? task : undefined);
      }),
    );
  });
});
