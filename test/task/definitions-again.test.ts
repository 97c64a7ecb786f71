/** Modules that are evaluated more than once or only in part, and values that change on their way. */
import { backgroundTask, TaskSupervisor, tasksFrom } from 'taskwarden';
import { describe, expect, it, vi } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { handsOverWrongly } from '../fixtures/tasks/hands-over-wrongly.ts';

const types = ['thread', 'loop'] as const;

describe('a module that is evaluated twice', () => {
  it('may register its tasks anew, as after vi.resetModules()', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const before = await import('../fixtures/tasks/named-like-its-const.ts');
    vi.resetModules();
    const after = await import('../fixtures/tasks/named-like-its-const.ts');
    expect(after.twice).not.toBe(before.twice);
    expect(await before.twice.with({ supervisor })(2)).toBe(4);
    expect(await after.twice.with({ supervisor })(3)).toBe(6);
  });

  it('under two addresses has two tasks', async () => {
    const { code, lines, stderr } = await runProgram('evaluated-twice.mjs');
    expect(stderr).toBe('');
    expect(lines).toEqual(['["","?x=1"]']);
    expect(code).toBe(0);
  });

  it('still may not give one name to two tasks', () => {
    const define = () => backgroundTask(import.meta.url, async function here() {}, { name: 'doubled' });
    define();
    expect(() => backgroundTask(import.meta.url, async function there() {}, { name: 'doubled' })).toThrow(
      expect.objectContaining({ code: 'DUPLICATE_TASK_NAME' }),
    );
    expect(define).not.toThrow();
  });
});

describe('a program in one file', () => {
  it('that cancels a task goes on in the main thread only', async () => {
    const { code, lines, stderr } = await runProgram('cancels-its-own.mjs');
    expect(stderr).toBe('');
    expect(lines).toEqual(['TASK_CANCELED', 'TASK_CANCELED', 'answered']);
    expect(code).toBe(0);
  });

  it('that defines too late what its task needs is told so', async () => {
    const { code, lines, stderr } = await runProgram('defined-too-late.mjs');
    expect(stderr).toBe('');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^ReferenceError .*'greeting' before initialization.*define what tasks need above/);
    expect(code).toBe(0);
  });
});

describe('Buffers', () => {
  it('are Buffers where they arrive, in the task and here', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const zlib = tasksFrom<typeof import('node:zlib')>('node:zlib', { supervisor });
    expect((await zlib.gunzipSync(await zlib.gzipSync('hello'))).toString()).toBe('hello');
    const looks = backgroundTask((bytes: Buffer) => [Buffer.isBuffer(bytes), bytes.toString('hex')], {
      name: 'looks',
      supervisor,
    });
    expect(await looks(Buffer.from('hi'))).toEqual([true, '6869']);
  });

  it('are told from other arrays of bytes, which stay what they are', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const kinds = (...values: Uint8Array[]) => values.map((bytes) => [Buffer.isBuffer(bytes), [...bytes]]);
    const task = backgroundTask(kinds, { name: 'kinds', supervisor });
    expect(await task(new Uint8Array([1]), Buffer.from([2]), new Uint8Array([3]), Buffer.alloc(0))).toEqual([
      [false, [1]],
      [true, [2]],
      [false, [3]],
      [true, []],
    ]);
    const same = echo.with({ supervisor });
    expect(Buffer.isBuffer(await same(new Uint8Array([1])))).toBe(false);
    expect(Buffer.isBuffer(await same(Buffer.from([1])))).toBe(true);
  });
});

describe('transferred() without a list', () => {
  it.each(types)('is a TypeError that fails the task (%s)', async (type) => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const handle = handsOverWrongly.with({ supervisor, type })();
    const error = await failure(handle);
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('transferred()');
    expect(handle.info).toMatchObject({ status: 'failed', endReason: 'failed' });
    expect(await echo.with({ supervisor, type })(1)).toBe(1);
  });
});

describe('tasksFrom', () => {
  it('throws at once for a package that is not there', () => {
    expect(() => tasksFrom('no-such-package')).toThrow(
      expect.objectContaining({ code: 'MODULE_LOAD_FAILED', message: expect.stringContaining('no-such-package') }),
    );
  });
});
