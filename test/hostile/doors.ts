/**
 * Every door that a hostile value can come by, for one lane. Whatever comes: what it belongs to settles, as what it is or
 * by a clear error; its neighbours, and those after it, give their results; and nothing is uncaught.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Progress, TaskSupervisor, TaskwardenError } from 'taskwarden';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaneUnderTest } from '../conformance/lane.ts';
import { interceptWarnings } from '../fixtures/listening.ts';
import { gives, heeds, receives, rejects, reports, sends, steps, takes, throws, yields } from './tasks.ts';
import { type HostileName, hostile, hostileNames } from './values.ts';

/** What became of something: 'done', the code of an error of ours, or 'failed' with one of the user's. */
export async function fateOf(promise: PromiseLike<unknown>): Promise<string> {
  try {
    await promise;
    return 'done';
  } catch (error) {
    return error instanceof TaskwardenError ? error.code : 'failed';
  }
}

/** What a call did that gives no promise: 'done', or the class of a bad option's error. */
function fateOfCall(call: () => unknown): string {
  try {
    call();
    return 'done';
  } catch (error) {
    return error instanceof TypeError || error instanceof RangeError ? 'refused' : 'threw something else';
  }
}

interface Door {
  /** How the ones that are refused may end. */
  readonly allowed: readonly string[];
  /** Gives what became of all that the value has touched. */
  open(name: HostileName): Promise<readonly string[]> | readonly string[];
}

async function drain(values: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of values);
}

export function testDoors({ type, pool }: LaneUnderTest): void {
  const limits = { poolSize: 2, reserveNormal: 0, reserveHigh: 0 };
  const supervisor = new TaskSupervisor({ [pool]: limits, logger: { warn() {}, error() {} } });
  const options = { supervisor, type, timeoutMs: 20_000 } as const;
  const take = takes.with(options);
  const give = gives.with(options);
  const fail = throws.with(options);
  // There values are not copied, and some can't be what a promise gives.
  const asTheyAre = type === 'loop' ? ['failed'] : [];
  const plainOnes = (count: number) => Array.from({ length: count }, (_, n) => n);

  const doors: Readonly<Record<string, Door>> = {
    'an argument': {
      allowed: ['done', 'ARGUMENT_NOT_CLONEABLE'],
      open: async (name) => [await fateOf(take(hostile(name), 1))],
    },
    'an argument among those of others': {
      allowed: ['done', 'ARGUMENT_NOT_CLONEABLE'],
      async open(name) {
        const before = plainOnes(5).map((n) => take({ n }, n));
        const its = take(hostile(name), 5);
        const after = plainOnes(5).map((n) => take({ n }, n));
        const fate = await fateOf(its);
        expect(await Promise.all([...before, ...after])).toEqual([...plainOnes(5), ...plainOnes(5)]);
        return [fate];
      },
    },
    'an input of map()': {
      allowed: ['done', 'ARGUMENT_NOT_CLONEABLE'],
      open: async (name) => [
        await fateOf(
          drain(
            take.map([
              [{}, 0],
              [hostile(name), 1],
              [{}, 2],
            ]),
          ),
        ),
      ],
    },
    'a result': {
      allowed: ['done', 'RESULT_NOT_CLONEABLE', 'failed'],
      open: async (name) => [await fateOf(give(name))],
    },
    'a result among those of others': {
      allowed: ['done', 'RESULT_NOT_CLONEABLE', 'failed'],
      async open(name) {
        const before = plainOnes(5).map(() => give('plain'));
        const its = give(name);
        const after = plainOnes(5).map(() => give('plain'));
        const fate = await fateOf(its);
        expect(new Set(await Promise.all([...before, ...after]))).toEqual(new Set(['plain']));
        return [fate];
      },
    },
    'what a task throws': {
      allowed: ['failed'],
      async open(name) {
        const [its, other] = [fail(name), fail('plain')];
        const fate = await fateOf(its);
        expect(await other).toBe('plain');
        return [fate];
      },
    },
    'what a task rejects with': {
      allowed: ['failed'],
      open: async (name) => [await fateOf(rejects.with(options)(name))],
    },
    'a message to a task': {
      allowed: ['done', 'MESSAGE_NOT_CLONEABLE'],
      async open(name) {
        const handle = receives.with(options)();
        const early = await fateOf(handle.send(hostile(name)));
        const fates = [early, await fateOf(handle.send('plain'))];
        expect(await handle).toBe('received');
        return fates;
      },
    },
    'a message to a task that runs': {
      allowed: ['done', 'MESSAGE_NOT_CLONEABLE'],
      async open(name) {
        const handle = receives.with(options)();
        while (handle.status !== 'started') await pause(1);
        const fates = [await fateOf(handle.send(hostile(name))), await fateOf(handle.send('plain'))];
        expect(await handle).toBe('received');
        return fates;
      },
    },
    'a message from a task': {
      allowed: ['done', 'sent', 'MESSAGE_NOT_CLONEABLE', ...asTheyAre],
      async open(name) {
        const handle = sends.with(options)(name);
        return [await fateOf(drain(handle.messages())), String(await handle)];
      },
    },
    'a step and a checkpoint': {
      allowed: ['done', 'plain', 'RESULT_NOT_CLONEABLE', 'WORK_TOO_LARGE', 'TypeError', 'Error', 'failed'],
      async open(name) {
        const fates = await steps.with(options)(name);
        expect(fates.at(-1)).toBe('plain');
        return fates;
      },
    },
    'the note of progress': {
      allowed: ['reported', 'TypeError'],
      open: async (name) => [await reports.with(options)(name)],
    },
    'what a generator yields': {
      allowed: ['done', 'RESULT_NOT_CLONEABLE', 'MESSAGE_NOT_CLONEABLE', ...asTheyAre],
      async open(name) {
        const handle = yields.with(options)(name);
        return [await fateOf(drain(handle))];
      },
    },
    'what a callback throws, or rejects with': {
      allowed: ['done'],
      async open(name) {
        const callback = [
          () => {
            throw hostile(name);
          },
          async () => {
            throw hostile(name);
          },
        ];
        return [await fateOf(take.with({ callback })({}, 1))];
      },
    },
    'what retryIf throws': {
      allowed: ['failed'],
      async open(name) {
        const retryIf = () => {
          throw hostile(name);
        };
        return [await fateOf(fail.with({ retries: 1, retryDelayMs: 0, retryIf })('a frozen error'))];
      },
    },
    'what transfer throws, or gives': {
      allowed: ['done', 'failed', 'ARGUMENT_NOT_CLONEABLE'],
      async open(name) {
        const throwing = () => {
          throw hostile(name);
        };
        const giving = () => hostile(name) as ArrayBuffer[];
        return [
          await fateOf(take.with({ transfer: throwing })({}, 1)),
          await fateOf(take.with({ transfer: giving })({}, 1)),
          await fateOf(take.with({ transfer: () => [hostile(name) as ArrayBuffer] })({}, 1)),
        ];
      },
    },
    'what a listener of progress throws': {
      allowed: ['done'],
      async open(name) {
        const handle = heeds.with(options)();
        const reported = new Promise<Progress>((resolve) => {
          handle.onProgress((progress) => {
            resolve(progress);
            throw hostile(name);
          });
        });
        await reported;
        await handle.stop();
        return [await fateOf(handle)];
      },
    },
    'the reason of a cancel': {
      allowed: ['TASK_CANCELED'],
      async open(name) {
        const [waiting, running] = [take.with({ delayMs: 60_000 })({}, 1), heeds.with(options)()];
        await new Promise<void>((resolve) => running.onProgress(() => resolve()));
        for (const handle of [waiting, running]) handle.cancel(hostile(name));
        return [await fateOf(waiting), await fateOf(running)];
      },
    },
    'the reason of a signal': {
      allowed: ['TASK_CANCELED'],
      async open(name) {
        const controller = new AbortController();
        const running = heeds.with({ ...options, signal: controller.signal })();
        await new Promise<void>((resolve) => running.onProgress(() => resolve()));
        controller.abort(hostile(name));
        return [await fateOf(running), await fateOf(take.with({ signal: controller.signal })({}, 1))];
      },
    },
    'an option': {
      allowed: ['done', 'refused'],
      open(name) {
        const keys = [
          'name',
          'priority',
          'type',
          'delayMs',
          'timeoutMs',
          'retries',
          'signal',
          'callback',
          'module',
          'taskId',
        ];
        return [
          ...keys.map((key) => fateOfCall(() => take.with({ [key]: hostile(name) }))),
          fateOfCall(() => take.with(hostile(name) as object)),
        ];
      },
    },
  };

  let warnings: ReturnType<typeof interceptWarnings>;

  beforeAll(async () => {
    warnings = interceptWarnings();
    // They have run before, so that they go in batches.
    await Promise.all(plainOnes(50).map((n) => take({ n }, n)));
    await Promise.all(plainOnes(50).map(() => give('plain')));
  });

  afterAll(async () => {
    await supervisor.stop({ wait: false });
    warnings.restore();
    expect(new Set(['MESSAGE_NOT_CLONEABLE', ...warnings.codes])).toEqual(new Set(['MESSAGE_NOT_CLONEABLE']));
  });

  describe.each(hostileNames)(`in a ${type}: %s`, (name) => {
    it.each(Object.entries(doors))('as %s', async (_as, { allowed, open }) => {
      const fates = await open(name);
      expect(fates.filter((fate) => !allowed.includes(fate))).toEqual([]);
      expect(await Promise.all(plainOnes(3).map((n) => take({ n }, n)))).toEqual(plainOnes(3));
    });
  });

  it(`a ${type} that has had all of them is still the first one of its kind`, () => {
    expect(supervisor.getTasks({ status: 'started' })).toEqual([]);
    expect(supervisor.getTasks({ status: 'queued' })).toEqual([]);
  });
}
