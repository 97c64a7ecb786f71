/** Steps and checkpoints of tasks that no courier brought: what an attempt has done is not done again by the next. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backgroundTask, currentTask, TaskSupervisor, type TaskType } from 'taskwarden';
import { afterAll, describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import {
  allMisuses,
  callsWorkInSteps,
  doneIn,
  type Misuse,
  misusesSteps,
  nestsSteps,
  triesStepAgain,
  worksInSteps,
} from '../fixtures/tasks/steps.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-steps-'));
let files = 0;

afterAll(() => rmSync(folder, { recursive: true }));

function newFile(): string {
  files += 1;
  return join(folder, `${files}`);
}

const first = { at: new Date(7), of: new Map([[1, 2n]]), text: 'ä' };
const types: readonly TaskType[] = ['thread', 'process', 'loop'];

describe.each(types)('steps on the %s lane', (type) => {
  const shared = new SharedSupervisors();

  it('are done once, though the task is tried again, and give the same as at first', async () => {
    await using supervisor = shared.take({ logger: false });
    const file = newFile();
    const task = worksInSteps.with({ type, supervisor, retries: 3, retryDelayMs: 0 });
    expect(await task(file, 'throws', 3)).toEqual({ first, second: 'done', before: 3 });
    expect(doneIn(file)).toEqual(['first', 'second']);
  });

  it('may be in one another, and beside one another', async () => {
    await using supervisor = shared.take({ logger: false });
    const file = newFile();
    const beside = Array.from({ length: 20 }, (_, n) => n);
    expect(await nestsSteps.with({ type, supervisor })(file)).toEqual({ outer: 2, beside });
    expect(doneIn(file).toSorted()).toEqual(['inner', 'outer', ...beside.map((n) => `beside ${n}`)].toSorted());
  });

  it('are of one task: others that run beside it, or later, know nothing of them', async () => {
    await using supervisor = shared.take({ logger: false });
    const task = worksInSteps.with({ type, supervisor, retries: 1, retryDelayMs: 0 });
    const all = Array.from({ length: 20 }, () => newFile());
    await Promise.all(all.map((file) => task(file, 'throws')));
    for (const file of all) expect(doneIn(file)).toEqual(['first', 'second']);
  });

  it('can be tried again in the same attempt, and what they throw is passed on', async () => {
    await using supervisor = shared.take({ logger: false });
    expect(await triesStepAgain.with({ type, supervisor })()).toEqual({ made: 3, messages: ['try 1', 'try 2'] });
  });

  it.each<readonly [Misuse, object]>([
    ['twice', { code: 'DUPLICATE_STEP', message: expect.stringContaining("'same'") }],
    ['not cloneable', { code: 'RESULT_NOT_CLONEABLE', message: expect.stringContaining("step 'make'") }],
    ['not readable', { code: 'RESULT_NOT_CLONEABLE', message: expect.stringContaining("step 'make'") }],
    ['too deep', { code: 'RESULT_NOT_CLONEABLE', message: expect.stringContaining("step 'make'") }],
    ['too large', { code: 'WORK_TOO_LARGE', message: expect.stringContaining("step 'make'") }],
    ['too large in all', { code: 'WORK_TOO_LARGE', message: expect.stringContaining("step 'make 3'") }],
    ['no name', { name: 'TypeError', message: expect.stringContaining('the name of a step') }],
    ['not a name', { name: 'TypeError', message: expect.stringContaining('got 7') }],
    ['long name', { name: 'TypeError', message: expect.stringContaining('at most 200 characters') }],
    ['half a name', { name: 'TypeError', message: expect.stringContaining('the name of a step') }],
    ['no function', { name: 'TypeError', message: expect.stringContaining("step 'make'") }],
    ['bad checkpoint', { code: 'RESULT_NOT_CLONEABLE', message: expect.stringContaining('the checkpoint') }],
  ])('say what is wrong: %s', async (misuse, error) => {
    await using supervisor = shared.take({ logger: false });
    expect(await misusesSteps.with({ type, supervisor })(misuse)).toMatchObject(error);
  });

  it('are done once for each input of an all() that is tried again', async () => {
    await using supervisor = shared.take({ logger: false });
    const all = Array.from({ length: 5 }, () => newFile());
    const task = worksInSteps.with({ type, supervisor, retries: 2, retryDelayMs: 0 });
    await task.all(all.map((file) => [file, 'throws'] as const) as [string, 'throws'][]);
    for (const file of all) expect(doneIn(file)).toEqual(['first', 'second']);
  });

  it('are done once in a task that a task has called', async () => {
    await using supervisor = shared.take({ logger: false });
    const file = newFile();
    expect(await callsWorkInSteps.with({ type, supervisor })(file)).toBe('done');
    expect(doneIn(file)).toEqual(['first', 'second']);
  });

  it('of inputs that run in one chunk are kept apart', async () => {
    await using supervisor = shared.take({ logger: false });
    const inputs = Array.from({ length: 50 }, () => []);
    const all = await triesStepAgain.with({ type, supervisor }).all(inputs as [][]);
    expect(new Set(all.map(({ made }) => made))).toEqual(new Set([3]));
  });
});

it('has a test for each misuse', () => expect(allMisuses.length).toBe(12));

describe.each([
  ['thread', 'exits'],
  ['process', 'exits'],
  ['process', 'isKilled'],
] as const)('when a %s dies (%s)', (type, ending) => {
  it('steps before that are not done again', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const file = newFile();
    const task = worksInSteps.with({ type, supervisor, crashRetries: 2 });
    expect(await task(file, ending, 2)).toEqual({ first, second: 'done', before: 2 });
    expect(doneIn(file)).toEqual(['first', 'second']);
  });
});

describe('on the event loop', () => {
  it('retryTask() of one that has failed goes on where that was', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const done: string[] = [];
    let isMended = false;
    const task = backgroundTask(
      async () => {
        await currentTask().step('pay', () => done.push('pay'));
        if (!isMended) throw new Error('not yet');
      },
      { name: 'steps', type: 'loop', supervisor },
    );
    const handle = task();
    expect(await failure(handle)).toMatchObject({ message: 'not yet' });
    isMended = true;
    await supervisor.retryTask(handle.id);
    expect(done).toEqual(['pay']);
  });

  it('a new call of the same task does all its steps', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const done: number[] = [];
    const task = backgroundTask(() => currentTask().step('pay', () => done.push(1)), {
      name: 'steps',
      type: 'loop',
      supervisor,
    });
    expect([await task(), await task()]).toEqual([1, 2]);
  });

  it('code that is left over when its task has ended can do no step, and changes nothing of the next attempt', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const late = deferred<void>();
    const problems: Promise<unknown>[] = [];
    let calls = 0;
    const task = backgroundTask(
      () => {
        const inside = currentTask();
        problems.push(failure(late.promise.then(() => inside.step('late', () => (calls += 1)))));
        return 'ended';
      },
      { name: 'steps', type: 'loop', supervisor },
    );
    expect(await task()).toBe('ended');
    late.resolve();
    expect(await problems[0]).toMatchObject({ code: 'NOT_IN_TASK', message: expect.stringContaining("step 'late'") });
    expect(calls).toBe(0);
  });

  it('a result that comes when its task has ended is not kept, and is no failure of another', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const [begun, result] = [deferred<void>(), deferred<number>()];
    let problem: Promise<unknown> = Promise.resolve();
    const task = backgroundTask(
      () => {
        problem = failure(
          currentTask().step('late', () => {
            begun.resolve();
            return result.promise;
          }),
        );
        return 'ended';
      },
      { name: 'steps', type: 'loop', supervisor },
    );
    expect(await task()).toBe('ended');
    await begun.promise;
    result.resolve(1);
    expect(await problem).toMatchObject({ code: 'NOT_IN_TASK' });
  });
});

/** `Promise.withResolvers`, which Node 20 has not. */
function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
