/** Calls that do nothing while a module loads in a thread: they never settle, and who waits for one is noticed. */
import { beforeEach, expect, it, vi } from 'vitest';

let phase: typeof import('../../src/task/definition/load-phase.ts');
let run: typeof import('../../src/task/inside/run.ts');

beforeEach(async () => {
  Reflect.deleteProperty(globalThis, Symbol.for('taskwarden.side'));
  vi.resetModules();
  phase = await import('../../src/task/definition/load-phase.ts');
  run = await import('../../src/task/inside/run.ts');
});

it('the program itself is no host, and none of its code is that of a loading module', () => {
  expect([phase.isHost(), phase.isLoadingModule()]).toEqual([false, false]);
});

it('in a host all code outside of tasks is that of a loading module', () => {
  phase.becomeHost();
  expect([phase.isHost(), phase.isLoadingModule()]).toEqual([true, true]);
  class TestRun extends run.Run {
    readonly id = '';
    readonly name = '';
    readonly attempt = 1;
    protected isStopRequested = () => false;
    protected report(): void {}
    post(): void {}
    poll = () => false;
  }
  const testRun = new TestRun([]);
  expect(testRun.call(() => phase.isLoadingModule(), undefined)).toBe(false);
});

it('says once that something waits, to those who asked before and to those who ask after', () => {
  phase.becomeHost();
  const [before, after] = [vi.fn(), vi.fn()];
  phase.onModuleWait(before);
  expect(before).not.toHaveBeenCalled();
  phase.noteModuleWait();
  phase.noteModuleWait();
  phase.onModuleWait(after);
  expect([before.mock.calls.length, after.mock.calls.length]).toEqual([1, 1]);
});

it('a promise of an ignored call never settles, and a wait for it is noticed when it is awaited and not before', async () => {
  phase.becomeHost();
  const [waits, settled] = [vi.fn(), vi.fn()];
  phase.onModuleWait(waits);
  const promise = phase.foreverPendingPromise();
  await Promise.resolve();
  expect(waits).not.toHaveBeenCalled();
  (async () => {
    await promise;
  })().then(settled, settled);
  await new Promise(setImmediate);
  expect([waits.mock.calls.length, settled.mock.calls.length]).toEqual([1, 0]);
});

it('outside a host nothing is noted', () => {
  const waits = vi.fn();
  phase.onModuleWait(waits);
  phase.noteModuleWait();
  phase.becomeHost();
  expect(waits).not.toHaveBeenCalled();
});

it('explains what a task missed of a module that waits, and nothing else', () => {
  const early = () => new ReferenceError("Cannot access 'table' before initialization");
  const [before, missing, other] = [early(), new ReferenceError('x is not defined'), new Error('m')];
  phase.becomeHost();
  expect(phase.explainModuleWait(before)).toBe(before);
  expect(before.message).toBe("Cannot access 'table' before initialization");

  phase.noteModuleWait();
  const after = early();
  expect(phase.explainModuleWait(after)).toBe(after);
  expect(after.message).toMatch(/^Cannot access 'table' before initialization: .* define what tasks need above/);
  for (const each of [missing, other, 'text', undefined]) expect(phase.explainModuleWait(each)).toBe(each);
  expect([missing.message, other.message]).toEqual(['x is not defined', 'm']);
});
