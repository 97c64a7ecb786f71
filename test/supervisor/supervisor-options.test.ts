/** The options of a supervisor: each checked, the defaults of the documentation, and how configure() joins them. */
import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  mergeOptions,
  resolveOptions,
  type SupervisorOptions,
  type ThreadOptions,
} from '../../src/supervisor/supervisor-options.ts';

const merge = (options: unknown) => mergeOptions({}, options as SupervisorOptions, 'TaskSupervisor');
const resolve = (options: SupervisorOptions) => resolveOptions(merge(options));
const cores = availableParallelism();

describe('defaults', () => {
  it('are those that are documented', () => {
    const { id, ...rest } = resolve({});
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    const hosts = {
      poolSize: cores,
      reserveNormal: 1,
      reserveHigh: 1,
      minSize: 0,
      maxSize: cores + 18,
      maxDepth: 64,
      concurrentTasks: 1,
      idleTimeoutMs: 10_000,
      minFree: 0,
      slots: cores + 2,
    };
    expect(rest).toEqual({
      name: 'taskwarden',
      threads: hosts,
      processes: hosts,
      loop: { poolSize: 0, reserveNormal: 1, reserveHigh: 1 },
      maxDepth: 64,
      keepFinished: 1_000,
      maxQueued: Infinity,
      lateMs: [5_000, 10_000],
      logger: console,
      context: undefined,
    });
  });

  it('hold where undefined is given', () => {
    const { id: _, ...rest } = resolve({
      name: undefined,
      threads: { poolSize: undefined, minSize: undefined, env: undefined },
      loop: { poolSize: undefined },
      logger: undefined,
    } as unknown as SupervisorOptions);
    const { id: __, ...defaults } = resolve({});
    expect(rest).toEqual(defaults);
  });

  it('each supervisor has an id of its own', () => {
    expect(resolve({}).id).not.toBe(resolve({}).id);
    expect(resolve({ id: 'mine' }).id).toBe('mine');
  });

  it('maxSize is the sum of slots and reserves, and 16 for critical tasks', () => {
    expect(resolve({ threads: { poolSize: 20, reserveNormal: 5, reserveHigh: 5 } }).threads).toMatchObject({
      maxSize: 46,
      minSize: 0,
    });
  });

  it('maxSize and minSize count threads, which tasks may share', () => {
    const shared = { poolSize: 4, reserveNormal: 2, reserveHigh: 1, concurrentTasks: 8 };
    expect(resolve({ threads: { ...shared, minSize: 'max' } }).threads).toMatchObject({
      maxSize: 23,
      minSize: 8,
      minFree: 3,
      slots: 7,
    });
    expect(resolve({ threads: { ...shared, poolSize: 0 } }).threads).toMatchObject({ maxSize: 64, slots: 64 });
  });

  it('maxSize is 64 without a limit of tasks', () => {
    expect(resolve({ threads: { poolSize: 0 } }).threads.maxSize).toBe(64);
  });
});

describe('sizes', () => {
  it(`minSize 'max' is maxSize if that is given, else the slots, and one for a critical task`, () => {
    expect(resolve({ threads: { minSize: 'max', maxSize: 3 } }).threads.minSize).toBe(3);
    expect(resolve({ threads: { minSize: 'max', poolSize: 4, reserveHigh: 0 } }).threads.minSize).toBe(6);
  });

  it('refuses a minSize above maxSize', () => {
    const refused = () => resolve({ threads: { minSize: 3, maxSize: 2 } });
    expect(refused).toThrow(new RangeError('option "minSize" of threads must be at most "maxSize" (2); got 3'));
    expect(refused).toThrow(RangeError);
    expect(resolve({ threads: { minSize: 2, maxSize: 2 } }).threads.minSize).toBe(2);
  });

  it(`refuses minSize 'max' where there is no limit`, () => {
    const refused = () => resolve({ threads: { minSize: 'max', poolSize: 0 } });
    expect(refused).toThrow(
      new RangeError(`option "minSize" of threads can't be 'max' without a limit: give "poolSize" or "maxSize"`),
    );
    expect(refused).toThrow(RangeError);
    expect(resolve({ threads: { minSize: 'max', poolSize: 0, maxSize: 4 } }).threads.minSize).toBe(4);
  });
});

describe('checks', () => {
  const count = 'must be a whole number, 0 or more';
  const wait = 'must be a number of milliseconds, 0 or more, or Infinity';
  const mb = 'must be a number of megabytes above 0';
  const logger = 'must be a logger with warn() and error(), such as console or pino, or false';
  it.each<[unknown, string]>([
    [{ id: '' }, `option "id" of TaskSupervisor must be a string that is not empty; got ''`],
    [{ name: 5 }, 'option "name" of TaskSupervisor must be a string that is not empty; got 5'],
    [{ threads: 4 }, 'threads takes an object of options; got 4'],
    [{ threads: null }, 'threads takes an object of options; got null'],
    [{ threads: { poolSize: -1 } }, `option "poolSize" of threads ${count}; got -1`],
    [{ threads: { reserveNormal: 0.5 } }, `option "reserveNormal" of threads ${count}; got 0.5`],
    [{ threads: { reserveHigh: '1' } }, `option "reserveHigh" of threads ${count}; got '1'`],
    [{ threads: { minSize: -1 } }, `option "minSize" of threads ${count}; got -1`],
    [{ threads: { minSize: 'all' } }, `option "minSize" of threads ${count}; got 'all'`],
    [{ threads: { maxSize: 0 } }, 'option "maxSize" of threads must be a whole number, 1 or more; got 0'],
    [
      { threads: { concurrentTasks: 0 } },
      'option "concurrentTasks" of threads must be a whole number from 1 to 1,000; got 0',
    ],
    [{ threads: { idleTimeoutMs: -1 } }, `option "idleTimeoutMs" of threads ${wait}; got -1`],
    [{ threads: { resourceLimits: 64 } }, 'resourceLimits takes an object of options; got 64'],
    [{ threads: { resourceLimits: [] } }, 'resourceLimits takes an object of options; got an array'],
    [
      { threads: { resourceLimits: { maxHeapMb: 64 } } },
      'resourceLimits has no option "maxHeapMb"; it takes maxOldGenerationSizeMb, maxYoungGenerationSizeMb, codeRangeSizeMb, stackSizeMb',
    ],
    [
      { threads: { resourceLimits: { maxOldGenerationSizeMb: '64' } } },
      `option "maxOldGenerationSizeMb" of resourceLimits ${mb}; got '64'`,
    ],
    [
      { threads: { resourceLimits: { maxYoungGenerationSizeMb: -1 } } },
      `option "maxYoungGenerationSizeMb" of resourceLimits ${mb}; got -1`,
    ],
    [
      { threads: { resourceLimits: { codeRangeSizeMb: Infinity } } },
      `option "codeRangeSizeMb" of resourceLimits ${mb}; got Infinity`,
    ],
    [{ threads: { resourceLimits: { stackSizeMb: 0 } } }, `option "stackSizeMb" of resourceLimits ${mb}; got 0`],
    [{ threads: { env: [] } }, 'option "env" of threads must be an object; got an array'],
    [{ threads: { execArgv: [1] } }, 'option "execArgv" of threads must be an array of strings; got an array'],
    [
      { threads: { threads: 1 } },
      'threads has no option "threads"; it takes poolSize, reserveNormal, reserveHigh, concurrentTasks, minSize, maxSize, idleTimeoutMs, resourceLimits, nice, recycle, env, execArgv, preload',
    ],
    [{ loop: { poolSize: Infinity } }, `option "poolSize" of loop ${count}; got Infinity`],
    [{ loop: { minSize: 1 } }, 'loop has no option "minSize"; it takes poolSize, reserveNormal, reserveHigh'],
    [{ keepFinished: -1 }, `option "keepFinished" of TaskSupervisor ${count}; got -1`],
    [{ maxQueued: -1 }, 'option "maxQueued" of TaskSupervisor must be a whole number, 1 or more, or Infinity; got -1'],
    [{ timeoutWarningMs: '5s' }, `option "timeoutWarningMs" of TaskSupervisor ${wait}; got '5s'`],
    [{ timeoutCriticalMs: Number.NaN }, `option "timeoutCriticalMs" of TaskSupervisor ${wait}; got NaN`],
    [{ logger: true }, `option "logger" of TaskSupervisor ${logger}; got true`],
    [{ logger: null }, `option "logger" of TaskSupervisor ${logger}; got null`],
    [{ logger: { warn() {} } }, `option "logger" of TaskSupervisor ${logger}; got an object`],
    [
      { poolSize: 4 },
      'TaskSupervisor has no option "poolSize": did you mean "threads.poolSize" or "processes.poolSize" or "loop.poolSize"? It takes id, name, threads, processes, loop, maxDepth, keepFinished, maxQueued, timeoutWarningMs, timeoutCriticalMs, context, logger',
    ],
    [[], 'TaskSupervisor takes an object of options; got an array'],
  ])('refuses %o', (options, message) => {
    expect(() => merge(options)).toThrow(
      expect.objectContaining({ message, name: expect.stringMatching(/^(Type|Range)Error$/) }),
    );
  });

  it.each<SupervisorOptions>([
    {
      threads: {
        poolSize: 0,
        maxSize: 1,
        minSize: 0,
        idleTimeoutMs: Infinity,
        env: {},
        execArgv: [],
        resourceLimits: {},
      },
    },
    {
      threads: {
        resourceLimits: {
          maxOldGenerationSizeMb: 64,
          maxYoungGenerationSizeMb: 0.5,
          codeRangeSizeMb: 16,
          stackSizeMb: 4,
        },
      },
    },
    {
      maxDepth: 0,
      keepFinished: 0,
      maxQueued: Infinity,
      timeoutWarningMs: Infinity,
      timeoutCriticalMs: 0,
      logger: false,
    },
    { logger: { warn() {}, error() {} } },
  ])('takes %o', (options) => {
    expect(merge(options)).toEqual(options);
  });
});

describe('joining', () => {
  it('keeps what is not named, in pools too', () => {
    const given = merge({
      name: 'a',
      keepFinished: 5,
      threads: { poolSize: 4, reserveHigh: 2 },
      loop: { poolSize: 9 },
    });
    const joined = mergeOptions(given, { name: 'b', threads: { poolSize: 6 } }, 'configure()');
    expect(joined).toEqual({
      name: 'b',
      keepFinished: 5,
      threads: { poolSize: 6, reserveHigh: 2 },
      loop: { poolSize: 9 },
    });
  });

  it('undefined keeps what was given before', () => {
    const given = merge({ name: 'a', threads: { poolSize: 4 } });
    const changes = { name: undefined, threads: { poolSize: undefined } } as unknown as SupervisorOptions;
    expect(mergeOptions(given, changes, 'configure()')).toEqual(given);
  });

  it('a derived default follows what it is derived from', () => {
    const given = merge({ threads: { poolSize: 4 } });
    const joined = mergeOptions(given, { threads: { poolSize: 10 } }, 'configure()');
    expect(resolveOptions(joined).threads.maxSize).toBe(28);
  });

  it('changes neither side', () => {
    const threads: ThreadOptions = Object.freeze({ poolSize: 4 });
    const given = Object.freeze({ threads });
    const changes = Object.freeze({ threads: Object.freeze({ poolSize: 5 }) });
    mergeOptions(given, changes, 'configure()');
    expect([given, changes]).toEqual([{ threads: { poolSize: 4 } }, { threads: { poolSize: 5 } }]);
  });

  it('gives a frozen whole that does not follow what the caller changes later', () => {
    const threads: { poolSize: number } = { poolSize: 4 };
    const resolved = resolve({ threads });
    threads.poolSize = 9;
    expect(resolved.threads.poolSize).toBe(4);
    expect(Object.isFrozen(resolved)).toBe(true);
  });
});
