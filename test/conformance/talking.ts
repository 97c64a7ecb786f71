/** What holds for tasks that talk, wherever they run. Every lane runs this suite. */
import { type PoolOptions, type TaskHandle, type TaskSupervisor, TaskwardenError } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import {
  answersBusily,
  hearsItsNumber,
  looksBusily,
  losesPatience,
  recvsAtOnce,
  recvsForEver,
  returnsBuffer,
  seesStop,
  sendsAroundUncloneable,
  takesAndFailsOnce,
  tellsAndExits,
  tellsAndThrows,
  tellsInEachOf,
  tellsItsNumber,
  tellsSome,
  tellsWhenAsked,
  throwsWhenStopped,
  yieldsAndExits,
  yieldsBuffers,
  yieldsUncloneable,
  yieldsUntilLeft,
  yieldsWhenAsked,
} from '../fixtures/tasks/converses.ts';
import { add } from '../fixtures/tasks/echo.ts';
import { cleansUp, Gate, holds } from '../fixtures/tasks/holds.ts';
import {
  answers,
  collects,
  collectsBusily,
  listensFor,
  sendsUncloneable,
  tells,
  waitsUntilStopped,
  worksUntilStopped,
  yieldsAtOnce,
  yieldsNumbers,
  yieldsThenThrows,
} from '../fixtures/tasks/talks.ts';
import type { LaneUnderTest } from './lane.ts';

/** Far longer than any test takes. */
const foreverMs = 2 ** 30;

/** At most so many may be on their way before a sender waits. */
const windowSize = 64;

const numbersBelow = (count: number) => Array.from({ length: count }, (_, n) => n);

async function gather<T>(values: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const value of values) gathered.push(value);
  return gathered;
}

/** The next so many, and no more. */
async function take<T>(values: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const { done, value } = await values.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** How many messages a task has sent that tells when it is asked. */
function toldBy(handle: TaskHandle<unknown>): () => Promise<number> {
  let asked = 0;
  let resolve = (_: number) => {};
  handle.onProgress(({ note = '' }) => {
    if (note.startsWith(`question ${asked}: `)) resolve(Number(note.split(': ')[1]));
  });
  return () => {
    asked += 1;
    void handle.send(`question ${asked}`);
    return new Promise((resolveIt) => {
      resolve = resolveIt;
    });
  };
}

export function testTalking({ type, pool, options }: LaneUnderTest): void {
  const isLoop = type === 'loop';

  const shared = new SharedSupervisors();

  function supervise(limits: PoolOptions = {}): TaskSupervisor {
    return shared.take({ [pool]: { ...limits, ...options }, logger: false });
  }

  /** Room for one task that is not critical, and no more. */
  const one: PoolOptions = { poolSize: 1, reserveNormal: 0, reserveHigh: 0 };

  describe(`the ${type} lane: messages from a task`, () => {
    it('arrive in the order in which they were sent', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(1_000);
      expect(await gather(handle.messages())).toEqual(numbersBelow(1_000));
    });

    it('are all there before the promise settles, though the task awaited none of them', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(3_000, false);
      await handle;
      expect(await gather(handle.messages())).toEqual(numbersBelow(3_000));
    });

    it('are all there before the promise rejects, though the task throws at once', async () => {
      await using supervisor = supervise();
      const handle = tellsAndThrows.with({ type, supervisor })(3_000);
      expect(await failure(handle)).toEqual(new RangeError('told it all'));
      expect(await gather(handle.messages())).toEqual(numbersBelow(3_000));
    });

    it('have all gone to their reader before the promise settles', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(3_000, false);
      const read: unknown[] = [];
      const reading = (async () => {
        for await (const message of handle.messages()) read.push(message);
      })();
      await handle;
      await reading;
      expect(read).toEqual(numbersBelow(3_000));
    });

    it('are given once: a reader that comes after another gets what is left, and then the end', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(10);
      await handle;
      for await (const message of handle.messages()) if (message === 3) break;
      expect(await gather(handle.messages())).toEqual([4, 5, 6, 7, 8, 9]);
      expect(await gather(handle.messages())).toEqual([]);
    });

    it('end for a reader that waits, when the task ends', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = holds.with({ type, supervisor })(gate.port, 'silent');
      const next = handle.messages().next();
      await gate.arrived(1);
      gate.open();
      expect(await next).toEqual({ done: true, value: undefined });
    });

    it('end for all readers that wait, when the task fails', async () => {
      await using supervisor = supervise();
      const handle = tellsAndThrows.with({ type, supervisor })(0);
      const readers = [handle.messages(), handle.messages()].map((reader) => reader.next());
      expect(await Promise.all(readers)).toEqual(Array(2).fill({ done: true, value: undefined }));
    });

    it('end for a reader of a task that is canceled before it begins', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor, delayMs: foreverMs })(1);
      const next = handle.messages().next();
      handle.cancel();
      expect(await next).toEqual({ done: true, value: undefined });
    });

    it('wait for their reader: a task that awaits each is ahead by no more than the window', async () => {
      await using supervisor = supervise();
      const handle = tellsWhenAsked.with({ type, supervisor })(3_000);
      const told = toldBy(handle);
      const reader = handle.messages();
      let read = 0;
      for (const more of [1, 10, 100, 1_000]) {
        expect(await take(reader, more)).toEqual(numbersBelow(read + more).slice(read));
        read += more;
        // Each answer takes it a turn or more, in which it would go on if it could.
        for (let times = 0; times < 5; times += 1) expect(await told()).toBeLessThanOrEqual(read + windowSize);
      }
      handle.cancel();
      await failure(handle);
    });

    it('flow again when their reader goes on', async () => {
      await using supervisor = supervise();
      const handle = tellsWhenAsked.with({ type, supervisor })(1_000);
      const told = toldBy(handle);
      const reader = handle.messages();
      await take(reader, 1);
      expect(await told()).toBeLessThanOrEqual(1 + windowSize);
      void handle.send(null);
      expect(await gather(reader)).toEqual(numbersBelow(1_000).slice(1));
      expect(await handle).toBe(1_000);
    });

    it('flow again when their reader leaves', async () => {
      await using supervisor = supervise();
      const handle = tellsWhenAsked.with({ type, supervisor })(1_000);
      const told = toldBy(handle);
      const reader = handle.messages();
      await take(reader, 1);
      expect(await told()).toBeLessThanOrEqual(1 + windowSize);
      void handle.send(null);
      await reader.return();
      expect(await handle).toBe(1_000);
      expect(await gather(handle.messages())).toEqual(numbersBelow(1_000).slice(1));
    });

    it('are kept while nobody reads, and their task is not held up', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(1_000);
      expect(await handle).toBe(1_000);
      expect(await gather(handle.messages())).toEqual(numbersBelow(1_000));
    });

    it('are shared out among readers, each to one', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(1_000);
      const [some, others] = await Promise.all([gather(handle.messages()), gather(handle.messages())]);
      expect([...some, ...others].sort((a, b) => Number(a) - Number(b))).toEqual(numbersBelow(1_000));
    });

    it('come from each attempt, in order', async () => {
      await using supervisor = supervise();
      const handle = tellsInEachOf.with({ type, supervisor, retries: 2, retryDelayMs: 0 })(3, 200);
      const expected = [1, 2, 3].flatMap((attempt) => numbersBelow(200).map((n) => `${attempt}: ${n}`));
      expect(await gather(handle.messages())).toEqual(expected);
    });

    it('of an attempt that nobody has read do not hold up the next', async () => {
      await using supervisor = supervise();
      const handle = tellsInEachOf.with({ type, supervisor, retries: 2, retryDelayMs: 0 })(3, 200);
      await handle;
      expect(await gather(handle.messages())).toHaveLength(600);
    });

    if (!isLoop)
      it('that were sent before the thread or child died arrive, and then the end', async () => {
        await using supervisor = supervise();
        const handle = tellsAndExits.with({ type, supervisor })(1_000);
        expect(await gather(handle.messages())).toEqual(numbersBelow(1_000));
        expect(await failure(handle)).toMatchObject({ code: 'TASK_CRASHED' });
      });

    it('end when the task does not stop, and its grace is over', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = holds.with({ type, supervisor, stopGraceMs: 10 })(gate.port, 'stubborn');
      const read = gather(handle.messages());
      await gate.arrived(1);
      handle.cancel();
      expect(await read).toEqual([]);
      expect(handle.status).toBe('canceled');
    });

    it('of tasks of one batch are not mixed up', async () => {
      await using supervisor = supervise({ poolSize: 2 });
      const submit = tellsItsNumber.with({ type, supervisor });
      await Promise.all(numbersBelow(100).map((n) => submit(n)));
      const handles = numbersBelow(500).map((n) => submit(n));
      const read = await Promise.all(handles.map((handle) => gather(handle.messages())));
      expect(read).toEqual(numbersBelow(500).map((n) => [`number ${n}`]));
    });

    it('of a task that travels behind others do not hold it up', async () => {
      await using supervisor = supervise(one);
      const submit = tellsSome.with({ type, supervisor });
      await Promise.all(numbersBelow(100).map(() => submit(0)));
      const handles = numbersBelow(20).map((n) => submit(n % 2 === 0 ? 0 : 300));
      await Promise.all(handles);
      for (const handle of handles) expect(await gather(handle.messages())).toEqual(numbersBelow(await handle));
    });
  });

  describe(`the ${type} lane: messages to a task`, () => {
    it('arrive in the order in which they were sent, and so do the answers', async () => {
      await using supervisor = supervise();
      const handle = answers.with({ type, supervisor })();
      const read = gather(handle.messages());
      for (let n = 0; n < 1_000; n += 1) expect(await handle.send(n)).toBe(true);
      await handle.send(null);
      expect(await read).toEqual(numbersBelow(1_000));
      expect(await handle).toBe('over');
    });

    it('arrive in order though the sender awaited none of them', async () => {
      await using supervisor = supervise();
      const handle = answers.with({ type, supervisor })();
      const sent = [...numbersBelow(3_000), null].map((data) => handle.send(data));
      expect(await handle).toBe('over');
      expect(await gather(handle.messages())).toEqual(numbersBelow(3_000));
      expect(new Set(await Promise.all(sent))).toEqual(new Set([true]));
    });

    it('that were sent while it was queued arrive when it has begun', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const runs = holds.with({ type, supervisor })(gate.port, 'runs');
      await gate.arrived(1);
      const handle = answers.with({ type, supervisor })();
      const sent = [...numbersBelow(200), null].map((data) => handle.send(data));
      expect(handle.status).toBe('queued');
      gate.open();
      await runs;
      expect(await gather(handle.messages())).toEqual(numbersBelow(200));
      await Promise.all(sent);
    });

    it('that were sent while it was delayed arrive when it has begun', async () => {
      await using supervisor = supervise();
      const handle = answers.with({ type, supervisor, delayMs: 1 })();
      void handle.send('early');
      expect(handle.status).toBe('delayed');
      void handle.send(null);
      expect(await gather(handle.messages())).toEqual(['early']);
    });

    it('wait for a task that takes none, and resolve with false at its end', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = holds.with({ type, supervisor })(gate.port, 'deaf');
      await gate.arrived(1);
      let isOver = false;
      const sent = numbersBelow(2 * windowSize).map(async (n) => {
        const wasTaken = await handle.send(n);
        return wasTaken || isOver ? wasTaken : 'too early';
      });
      await sent[0];
      isOver = true;
      gate.open();
      const outcomes = await Promise.all(sent);
      expect(outcomes.slice(windowSize)).toEqual(Array(windowSize).fill(false));
      expect(outcomes).not.toContain('too early');
    });

    it('that wait for room resolve with false when a task is canceled that never began', async () => {
      await using supervisor = supervise();
      const handle = answers.with({ type, supervisor, delayMs: foreverMs })();
      const sent = numbersBelow(2 * windowSize).map((n) => handle.send(n));
      handle.cancel();
      expect(await sent.at(-1)).toBe(false);
    });

    it('resolve with false after its end', async () => {
      await using supervisor = supervise();
      const handle = add.with({ type, supervisor })(1, 1);
      await handle;
      expect(await handle.send('late')).toBe(false);
    });

    it('resolve with false after its failure', async () => {
      await using supervisor = supervise();
      const handle = tellsAndThrows.with({ type, supervisor })(0);
      await failure(handle);
      expect(await handle.send('late')).toBe(false);
    });

    it('give way to undefined when the time of recv() is over', async () => {
      await using supervisor = supervise();
      expect(await listensFor.with({ type, supervisor })(1)).toEqual([undefined, undefined]);
      expect(await listensFor.with({ type, supervisor })(0)).toEqual([undefined, undefined]);
    });

    it('go to the next recv() when the time of one is over', async () => {
      await using supervisor = supervise();
      const handle = losesPatience.with({ type, supervisor })(1);
      await handle.messages().next();
      await handle.send('at last');
      expect(await handle).toEqual([undefined, 'at last']);
    });

    it('are there for a recv() that does not wait, if they were sent before the task began', async () => {
      await using supervisor = supervise();
      const handle = losesPatience.with({ type, supervisor, delayMs: 1 })(foreverMs);
      void handle.send('first');
      void handle.send('second');
      expect(await handle).toEqual(['first', 'second']);
    });

    it('end for a recv() that waits, when the task is canceled', async () => {
      await using supervisor = supervise();
      const handle = recvsForEver.with({ type, supervisor, stopGraceMs: foreverMs })();
      await begun(handle);
      handle.cancel();
      expect(await gather(handle.messages())).toEqual([{ received: undefined, code: 'TASK_CANCELED' }]);
      expect(await failure(handle)).toMatchObject({ code: 'TASK_CANCELED' });
    });

    it('end for a recv() that waits, when the time of the task is over', async () => {
      await using supervisor = supervise();
      const handle = recvsForEver.with({ type, supervisor, timeoutMs: 300, stopGraceMs: foreverMs })();
      await begun(handle); // one whose time is over before that never begins
      expect(await failure(handle)).toMatchObject({ code: 'TASK_TIMEOUT' });
      expect(await gather(handle.messages())).toEqual([{ received: undefined, code: 'TASK_TIMEOUT' }]);
    });

    it('that an attempt has not taken go to the next', async () => {
      await using supervisor = supervise();
      const handle = takesAndFailsOnce.with({ type, supervisor, retries: 1, retryDelayMs: 0 })(0);
      for (const data of ['a', 'b', null]) void handle.send(data);
      expect(await handle).toEqual(['a', 'b']);
    });

    it.each([1, 3, 16, 20])('that an attempt has taken do not come again: %d of 30', async (count) => {
      await using supervisor = supervise();
      const handle = takesAndFailsOnce.with({ type, supervisor, retries: 1, retryDelayMs: 0 })(count);
      for (const data of [...numbersBelow(30), null]) void handle.send(data);
      expect(await handle).toEqual(numbersBelow(30).slice(count));
      expect(await gather(handle.messages())).toEqual([numbersBelow(count)]);
    });

    it('that were sent between two attempts go to the next', async () => {
      await using supervisor = supervise();
      const handle = takesAndFailsOnce.with({ type, supervisor, retries: 1, retryDelayMs: 1 })(0);
      supervisor.on('task:retried', () => {
        for (const data of ['between', null]) void handle.send(data);
      });
      expect(await handle).toEqual(['between']);
    });

    it('that wait for room have it when the next attempt takes them', async () => {
      await using supervisor = supervise();
      const handle = takesAndFailsOnce.with({ type, supervisor, retries: 1, retryDelayMs: 0 })(0);
      const sent = [...numbersBelow(200), null].map((data) => handle.send(data));
      expect(await handle).toEqual(numbersBelow(200));
      expect(new Set(await Promise.all(sent))).toEqual(new Set([true]));
    });

    it('of tasks of one batch are not mixed up', async () => {
      await using supervisor = supervise({ poolSize: 2 });
      const submit = hearsItsNumber.with({ type, supervisor });
      const numbers = (count: number) =>
        numbersBelow(count).map((n) => {
          const handle = submit(n);
          void handle.send(`number ${n}`);
          return handle;
        });
      await Promise.all(numbers(100));
      expect(await Promise.all(numbers(300))).toEqual(numbersBelow(300).map((n) => [n, `number ${n}`]));
    });
  });

  describe(`the ${type} lane: recvSync`, () => {
    if (!isLoop)
      it('hears, and is heard, while the thread never turns', async () => {
        await using supervisor = supervise();
        const handle = answersBusily.with({ type, supervisor })();
        const reader = handle.messages();
        for (let n = 0; n < 200; n += 1) {
          await handle.send(n);
          expect(await reader.next()).toEqual({ done: false, value: n });
        }
        await handle.send(null);
        expect(await handle).toBe(0);
      });

    if (!isLoop)
      it('looks for messages between other work', async () => {
        await using supervisor = supervise();
        const handle = looksBusily.with({ type, supervisor })();
        for (const data of [...numbersBelow(200), null]) await handle.send(data);
        expect(await handle).toEqual(numbersBelow(200));
      });

    if (!isLoop)
      it('gives undefined when its time is over', async () => {
        await using supervisor = supervise();
        const handle = recvsAtOnce.with({ type, supervisor })(1);
        await handle.send('go');
        expect(await handle).toBeUndefined();
      });

    it('gives what is there', async () => {
      await using supervisor = supervise();
      const handle = recvsAtOnce.with({ type, supervisor, delayMs: 1 })();
      void handle.send('go');
      void handle.send('there');
      expect(await handle).toBe('there');
    });

    it('gives undefined where nothing is there, and it is not to wait', async () => {
      await using supervisor = supervise();
      const handle = recvsAtOnce.with({ type, supervisor })(0);
      await handle.send('go');
      expect(await handle).toBeUndefined();
    });

    if (isLoop)
      it.each([undefined, foreverMs])('throws on the event loop where it would wait: %s', async (timeoutMs) => {
        await using supervisor = supervise();
        const handle = recvsAtOnce.with({ type, supervisor })(timeoutMs);
        await handle.send('go');
        expect(await handle).toBe('WOULD_BLOCK');
      });

    if (!isLoop)
      it('waits no more when the task is asked to finish, and has given all that was sent before', async () => {
        await using supervisor = supervise();
        const handle = collectsBusily.with({ type, supervisor })();
        await begun(handle);
        for (let n = 0; n < 50; n += 1) void handle.send(n);
        await handle.stop();
        expect(await handle).toEqual(numbersBelow(50));
      });
  });

  describe(`the ${type} lane: stop`, () => {
    if (!isLoop)
      it('is seen by a busy loop, whose result counts', async () => {
        await using supervisor = supervise();
        const handle = worksUntilStopped.with({ type, supervisor })('Hello');
        await begun(handle);
        await handle.stop();
        expect(handle.info).toMatchObject({ status: 'completed', endReason: 'completed' });
        expect(await handle).toBe('Hello, done.');
      });

    it('aborts the signal, with a reason that says so', async () => {
      await using supervisor = supervise();
      const handle = waitsUntilStopped.with({ type, supervisor })();
      await begun(handle);
      await handle.stop();
      expect(await handle).toBe('TASK_STOPPED');
      expect(handle.status).toBe('completed');
    });

    it('lets recv() give what was sent before, and then undefined', async () => {
      await using supervisor = supervise();
      const handle = collects.with({ type, supervisor })();
      for (let n = 0; n < 200; n += 1) void handle.send(n);
      await handle.stop();
      expect(await handle).toEqual(numbersBelow(200));
    });

    it('ends a recv() that waits', async () => {
      await using supervisor = supervise();
      const handle = recvsForEver.with({ type, supervisor })();
      await begun(handle);
      await handle.stop();
      expect(await gather(handle.messages())).toEqual([{ received: undefined, code: 'TASK_STOPPED' }]);
    });

    it('asks a queued task when it begins, which gets what was sent before', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const runs = holds.with({ type, supervisor })(gate.port, 'runs');
      await gate.arrived(1);
      const handle = collects.with({ type, supervisor })();
      for (let n = 0; n < 200; n += 1) void handle.send(n);
      const stopped = handle.stop();
      expect(handle.status).toBe('queued');
      gate.open();
      await Promise.all([runs, stopped]);
      expect(await handle).toEqual(numbersBelow(200));
    });

    it('of a queued task has its reason as soon as it is seen', async () => {
      await using supervisor = supervise(one);
      const submit = seesStop.with({ type, supervisor });
      for (let times = 0; times < 20; times += 1) {
        const handle = submit();
        await handle.stop();
        const [first, later] = await handle;
        expect([undefined, 'TASK_STOPPED']).toContain(first);
        expect(later).toBe('TASK_STOPPED');
      }
    });

    it('asks once, though it is called twice, and resolves each call at the end', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = cleansUp.with({ type, supervisor })(gate.port, 'cleans up');
      await begun(handle);
      let isOver = false;
      const stops = [1, 2].map(async () => {
        await handle.stop();
        return isOver;
      });
      await gate.arrived(1);
      isOver = true;
      gate.open();
      expect(await Promise.all(stops)).toEqual([true, true]);
      expect(gate.arrivals).toEqual(['cleans up']);
      expect(handle.status).toBe('completed');
    });

    it('changes nothing after the end', async () => {
      await using supervisor = supervise();
      const handle = add.with({ type, supervisor })(1, 2);
      await handle;
      await handle.stop();
      expect(handle.info).toMatchObject({ status: 'completed', endReason: 'completed' });
    });

    it('resolves where the task fails, which then is not tried again', async () => {
      await using supervisor = supervise();
      const handle = throwsWhenStopped.with({ type, supervisor, retries: 5, retryDelayMs: 0 })();
      await begun(handle);
      await handle.stop();
      expect(handle.info).toMatchObject({ status: 'failed', attempt: 1 });
      expect(handle.exception).toEqual(new RangeError('attempt 1'));
    });

    it('gives way to a cancel', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const handle = cleansUp.with({ type, supervisor, stopGraceMs: 10 })(gate.port, 'slow');
      await begun(handle);
      const stopped = handle.stop();
      await gate.arrived(1);
      handle.cancel('enough');
      await stopped;
      expect(handle.info).toMatchObject({ status: 'canceled', error: { code: 'TASK_CANCELED', cause: 'enough' } });
    });

    it('holds up no sender whose reader has paused', async () => {
      await using supervisor = supervise();
      const handle = tells.with({ type, supervisor })(1_000);
      const reader = handle.messages();
      await reader.next();
      await handle.stop();
      expect(await handle).toBe(1_000);
      expect(await gather(reader)).toEqual(numbersBelow(1_000).slice(1));
    });
  });

  describe(`the ${type} lane: what is sent`, () => {
    it('stays a Buffer, both ways', async () => {
      await using supervisor = supervise();
      const handle = returnsBuffer.with({ type, supervisor })();
      await handle.send(Buffer.from('ä'));
      const [wasBuffer, back] = await gather(handle.messages());
      expect(wasBuffer).toBe(true);
      expect(Buffer.isBuffer(back)).toBe(true);
      expect(String(back)).toBe('ä');
    });

    it('stays a Buffer, though it was sent before the task began', async () => {
      await using supervisor = supervise();
      const handle = returnsBuffer.with({ type, supervisor, delayMs: 1 })();
      void handle.send(Buffer.from('early'));
      expect((await gather(handle.messages()))[0]).toBe(true);
    });

    if (!isLoop)
      it('is refused before the task begins if it can not be copied, and harms nothing', async () => {
        await using supervisor = supervise();
        const handle = answers.with({ type, supervisor, delayMs: 1 })();
        void handle.send('before');
        const refusal = { code: 'MESSAGE_NOT_CLONEABLE', taskId: handle.id };
        expect(await failure(handle.send(() => {}))).toBeInstanceOf(TaskwardenError);
        expect(await failure(handle.send({ nested: { callback: () => {} } }))).toMatchObject(refusal);
        void handle.send('after');
        void handle.send(null);
        expect(await gather(handle.messages())).toEqual(['before', 'after']);
      });

    if (!isLoop)
      it('is refused while the task runs if it can not be copied, and harms nothing', async () => {
        await using supervisor = supervise();
        const handle = answers.with({ type, supervisor })();
        const reader = handle.messages();
        await handle.send('before');
        expect((await reader.next()).value).toBe('before');
        const refusal = { code: 'MESSAGE_NOT_CLONEABLE', taskId: handle.id };
        expect(await failure(handle.send(() => {}))).toMatchObject(refusal);
        expect(await failure(handle.send(() => {}, { untilTaken: true }))).toMatchObject(refusal);
        void handle.send('after');
        void handle.send(null);
        expect(await gather(reader)).toEqual(['after']);
        expect(await handle).toBe('over');
      });

    if (!isLoop)
      it('harms nobody else where it could be copied when it was sent, but not when the task begins', async () => {
        await using supervisor = supervise(one);
        const handle = answers.with({ type, supervisor, delayMs: 1, retries: 0 })();
        const changing: { callback?: () => void } = {};
        void handle.send(changing);
        changing.callback = () => {};
        void handle.send(null);
        await Promise.allSettled([handle]);
        expect(handle.done).toBe(true);
        expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
      });

    if (!isLoop)
      it('is refused in the task if it can not be copied', async () => {
        await using supervisor = supervise();
        expect(await sendsUncloneable.with({ type, supervisor })()).toBe('MESSAGE_NOT_CLONEABLE');
      });

    if (!isLoop)
      it('harms nothing else where it is refused in the task', async () => {
        await using supervisor = supervise();
        const handle = sendsAroundUncloneable.with({ type, supervisor })();
        expect(await gather(handle.messages())).toEqual(['before', 'after']);
        expect(await handle).toBe('MESSAGE_NOT_CLONEABLE');
      });

    if (isLoop)
      it('is handed over as it is on the event loop, functions too', async () => {
        await using supervisor = supervise();
        const handle = answers.with({ type, supervisor })();
        const callback = () => {};
        await handle.send(callback);
        await handle.send(null);
        expect(await gather(handle.messages())).toEqual([callback]);
      });
  });

  describe(`the ${type} lane: generators`, () => {
    it('give what they yield, in order', async () => {
      await using supervisor = supervise();
      expect(await gather(yieldsNumbers.with({ type, supervisor })(1_000))).toEqual(numbersBelow(1_000));
    });

    it('resolve with what they return', async () => {
      await using supervisor = supervise();
      const handle = yieldsNumbers.with({ type, supervisor })(1_000);
      await gather(handle);
      expect(await handle).toBe('1000 in all');
      expect(handle.status).toBe('completed');
    });

    it('need not be async', async () => {
      await using supervisor = supervise();
      const handle = yieldsAtOnce.with({ type, supervisor })(200);
      expect(await gather(handle)).toEqual(numbersBelow(200).map((n) => ({ n })));
      expect(await handle).toBe('yieldsAtOnce');
    });

    it('run to their end where only the promise is awaited, and keep what they yield', async () => {
      await using supervisor = supervise();
      const handle = yieldsNumbers.with({ type, supervisor })(1_000);
      expect(await handle).toBe('1000 in all');
      expect(await gather(handle)).toEqual(numbersBelow(1_000));
    });

    it('are ahead of a reader that has paused by no more than the window', async () => {
      await using supervisor = supervise();
      const handle = yieldsWhenAsked.with({ type, supervisor })(2_000);
      const results = handle[Symbol.asyncIterator]();
      const made = handle.messages<number>();
      let read = 0;
      for (const more of [1, 10, 100, 1_000]) {
        expect(await take(results, more)).toEqual(numbersBelow(read + more).slice(read));
        read += more;
        for (let times = 0; times < 5; times += 1) {
          void handle.send('how many?');
          expect((await made.next()).value).toBeLessThanOrEqual(read + windowSize);
        }
      }
      expect(await gather({ [Symbol.asyncIterator]: () => results })).toEqual(numbersBelow(2_000).slice(read));
      expect(await handle).toBe(2_000);
    });

    it('wait before the window is passed while nobody reads or awaits, and go on when someone does', async () => {
      await using supervisor = supervise();
      const handle = yieldsWhenAsked.with({ type, supervisor })(2_000);
      const made = handle.messages<number>();
      for (let times = 0; times < 5; times += 1) {
        void handle.send('how many?');
        expect((await made.next()).value).toBeLessThanOrEqual(windowSize);
      }
      expect(await handle).toBe(2_000);
    });

    it('throw what they fail with after what they have yielded', async () => {
      await using supervisor = supervise();
      const handle = yieldsThenThrows.with({ type, supervisor })();
      const read: unknown[] = [];
      const reading = (async () => {
        for await (const value of handle) read.push(value);
      })();
      expect(await failure(reading)).toEqual(new RangeError('no third'));
      expect(read).toEqual([1, 2]);
      expect(handle.status).toBe('failed');
    });

    it('are canceled when the loop over them is left, and have cleaned up by then', async () => {
      await using supervisor = supervise();
      const handle = yieldsUntilLeft.with({ type, supervisor, stopGraceMs: foreverMs })();
      for await (const n of handle) if (n === 100) break;
      expect(handle.info).toMatchObject({ status: 'canceled', error: { code: 'TASK_CANCELED' } });
      expect(await gather(handle.messages())).toEqual(['cleaned up']);
    });

    it('end at their next yield when they are asked to finish, and are completed', async () => {
      await using supervisor = supervise();
      const handle = yieldsUntilLeft.with({ type, supervisor })();
      const read: unknown[] = [];
      for await (const n of handle) {
        read.push(n);
        if (n === 100) void handle.stop();
      }
      expect(read).toEqual(numbersBelow(read.length));
      expect(handle.status).toBe('completed');
      expect(await gather(handle.messages())).toEqual(['cleaned up']);
    });

    it('end though their reader has paused when they are asked to finish', async () => {
      await using supervisor = supervise();
      const handle = yieldsUntilLeft.with({ type, supervisor })();
      await take(handle[Symbol.asyncIterator](), 1);
      await handle.stop();
      expect(handle.status).toBe('completed');
      expect(await gather(handle.messages())).toEqual(['cleaned up']);
    });

    if (!isLoop)
      it('fail with a clear error where they yield what can not be copied, and clean up', async () => {
        await using supervisor = supervise();
        const handle = yieldsUncloneable.with({ type, supervisor })();
        const read: unknown[] = [];
        const reading = (async () => {
          for await (const value of handle) read.push(value);
        })();
        expect(await failure(reading)).toMatchObject({ code: 'MESSAGE_NOT_CLONEABLE' });
        expect(read).toEqual([1]);
        expect(handle.status).toBe('failed');
        expect(await gather(handle.messages())).toEqual(['cleaned up']);
      });

    if (!isLoop)
      it('give what they have yielded before their thread or child died, and then throw that', async () => {
        await using supervisor = supervise();
        const handle = yieldsAndExits.with({ type, supervisor })(10);
        const read: unknown[] = [];
        const reading = (async () => {
          for await (const value of handle) read.push(value);
        })();
        expect(await failure(reading)).toMatchObject({ code: 'TASK_CRASHED' });
        expect(read).toEqual(numbersBelow(10));
      });

    it('yield Buffers that stay Buffers', async () => {
      await using supervisor = supervise();
      const buffers = await gather(yieldsBuffers.with({ type, supervisor })());
      expect(buffers.every((each) => Buffer.isBuffer(each))).toBe(true);
      expect(buffers.map(String)).toEqual(['one', 'two']);
    });

    it('of one batch are not mixed up', async () => {
      await using supervisor = supervise(one);
      const submit = yieldsNumbers.with({ type, supervisor });
      await Promise.all(numbersBelow(50).map(() => submit(1)));
      const handles = numbersBelow(100).map((n) => submit(n));
      const results = await Promise.all(handles.map((handle) => gather(handle)));
      expect(results).toEqual(numbersBelow(100).map((n) => numbersBelow(n)));
    });
  });
}
