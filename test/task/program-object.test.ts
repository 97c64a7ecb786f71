/** Objects of the program that threads call: how they are named, and found again. */
import { afterEach, expect, it, vi } from 'vitest';
import { findDefinition } from '../../src/task/definition/definition-registry.ts';
import { exposeObject, type ObjectName, unexposeObject } from '../../src/task/definition/program-object.ts';

const here = 'at file:///app/couriers.js:3:24';
const made: [ObjectName, object][] = [];

afterEach(() => {
  for (const [name, object] of made.splice(0)) unexposeObject(name, object);
});

class Counter {
  count = 0;

  add(by: number): number {
    this.count += by;
    return this.count;
  }
}

function expose(name: ObjectName, object: object = new Counter()): object {
  exposeObject(name, object);
  made.push([name, object]);
  return object;
}

/** What the program does when a thread calls. */
function call(key: string, ...args: unknown[]): unknown {
  return findDefinition('taskwarden:objects', 'call')?.fn?.(key, ...args);
}

it('calls a method of the object that has the name', () => {
  expose({ kind: 'Counter', name: 'mine', site: here });
  expect(call('Counter "mine"', 'add', 2)).toBe(2);
  expect(call('Counter "mine"', 'add', 3)).toBe(5);
});

it.each([
  here,
  'at new Couriers (file:///app/couriers.js:3:24)',
  'at file:///app/couriers.js?tsx-namespace=1:3:24',
  'at Object.<anonymous> (/app/couriers.js:3:24)',
])('knows %s by its file, line and column', (site) => {
  expose({ kind: 'Counter', site });
  expect(call('Counter file:///app/couriers.js:3:24', 'add', 1)).toBe(1);
});

it('keeps kinds apart', () => {
  expose({ kind: 'Counter', name: 'mine', site: here });
  expect(() => call('Worker "mine"', 'add', 1)).toThrow(/made no Worker "mine".*name/);
});

it('refuses a second one of a name, naming both call sites; one of the same site replaces it', () => {
  const name = { kind: 'Counter', name: 'mine', site: here };
  expose(name);
  expect(() => expose({ ...name, site: 'at file:///app/other.js:1:1' })).toThrow(/couriers\.js.*other\.js/);
  call('Counter "mine"', 'add', 5);
  expose(name);
  expect(call('Counter "mine"', 'add', 1)).toBe(1);
});

it('does not choose among many of one site', () => {
  expose({ kind: 'Counter', site: here });
  expose({ kind: 'Counter', site: here });
  expect(() => call('Counter file:///app/couriers.js:3:24', 'add', 1)).toThrow(
    expect.objectContaining({ code: 'OBJECT_NOT_FOUND', message: expect.stringContaining('more than one') }),
  );
});

it('gives the name back, but not that of a successor', () => {
  const name = { kind: 'Counter', name: 'mine', site: here };
  const first = expose(name);
  const second = expose(name);
  unexposeObject(name, first);
  expect(call('Counter "mine"', 'add', 1)).toBe(1);
  unexposeObject(name, second);
  expect(() => call('Counter "mine"', 'add', 1)).toThrow(expect.objectContaining({ code: 'OBJECT_NOT_FOUND' }));
});

it('can be loaded twice in a process', async () => {
  expose({ kind: 'Counter', name: 'mine', site: here });
  vi.resetModules();
  const again = await import('../../src/task/definition/program-object.ts');
  expect(again.exposeObject).not.toBe(exposeObject);
  expect(call('Counter "mine"', 'add', 1)).toBe(1);
});
