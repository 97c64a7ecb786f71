/** What holds for all() when the threads or children of its inputs die. Both kinds of hosts run this suite. */
import type { PoolOptions, TaskType } from 'taskwarden';
import { beforeEach, describe, expect, it } from 'vitest';
import { failure, interceptStderr } from '../fixtures/listening.ts';
import { newDiary } from '../fixtures/new-diary.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { type InputAct, inputs } from '../fixtures/tasks/inputs.ts';

interface HostUnderTest {
  readonly type: Exclude<TaskType, 'loop'>;
  readonly pool: 'threads' | 'processes';
  /** What ends a host at once. */
  readonly deaths: readonly InputAct[];
}

type Given = [act: InputAct, index: number, path: string, extra?: unknown];

export function testBulkHosts({ type, pool, deaths }: HostUnderTest): void {
  const two: PoolOptions = { poolSize: 2, reserveNormal: 0, reserveHigh: 0 };
  const shared = new SharedSupervisors();
  const supervise = () => shared.take({ [pool]: two, logger: false });

  function given(count: number, act: InputAct, others: Record<number, InputAct>, path: string): Given[] {
    return Array.from({ length: count }, (_, index) => [others[index] ?? act, index, path]);
  }

  /** Runs them, and checks that each has begun once, and that those that did not die have their result. */
  async function expectOnlyDead(
    acts: { readonly act: InputAct; readonly dying: Record<number, InputAct> },
    count: number,
  ): Promise<void> {
    await using supervisor = supervise();
    const diary = newDiary();
    const run = inputs.with({ type, supervisor }).all(given(count, acts.act, acts.dying, diary.path), {
      settle: true,
    });
    const outcomes = await run;
    const failed = outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []));
    expect(failed).toEqual(Object.keys(acts.dying).map(Number));
    for (const index of failed) expect(outcomes[index]).toMatchObject({ reason: { code: 'TASK_CRASHED' } });
    expect(diary.all('begins').sort((a, b) => a - b)).toEqual(outcomes.map((_, index) => index));
    const results = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const index = outcomes.flatMap(({ status }, at) => (status === 'fulfilled' ? [at] : []));
    expect(results).toEqual(index.map((at) => (acts.act === 'number' ? at / 2 : `input ${at}`)));
    expect(run.progress).toEqual({ done: count, failed: failed.length, total: count });
  }

  describe(`all() in the ${type} lane: the death of a host`, () => {
    beforeEach(() => void interceptStderr()); // a child says there of what it dies

    it.each(deaths.flatMap((death) => [[death, 'number'] as const, [death, 'text'] as const]))(
      'concerns only the input that ran: %s among those that give a %s',
      async (death, act) => {
        await expectOnlyDead({ act, dying: { 150: death, 301: death, 302: death, 399: death } }, 400);
      },
    );

    it('rejects with the index of that input', async () => {
      await using supervisor = supervise();
      const [death] = deaths as [InputAct];
      const items = given(400, 'number', { 222: death }, '');
      const error = await failure(inputs.with({ type, supervisor }).all(items));
      expect(error).toMatchObject({ code: 'TASK_CRASHED', index: 222, input: items[222] });
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('is one attempt, as crashRetries says', async () => {
      await using supervisor = supervise();
      const [death] = deaths as [InputAct];
      const diary = newDiary();
      const task = inputs.with({ type, supervisor, crashRetries: 1 });
      const items = given(20, 'number', { 11: death }, diary.path);
      const outcomes = await task.all(items, { settle: true });
      expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
      expect(diary.all('begins').filter((index) => index === 11)).toHaveLength(2);
      expect(diary.count('begins')).toBe(21);
    });
  });

  describe(`all() in the ${type} lane: what can't be sent`, () => {
    it('an argument fails its input alone', async () => {
      await using supervisor = supervise();
      const items = given(300, 'number', {}, '').map((each, index): Given => {
        return index === 200 ? ['number', 200, '', () => {}] : each;
      });
      const outcomes = await inputs.with({ type, supervisor }).all(items, { settle: true });
      expect(outcomes[200]).toMatchObject({ status: 'rejected', reason: { code: 'ARGUMENT_NOT_CLONEABLE' } });
      expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    });

    it('a result fails its input alone', async () => {
      await using supervisor = supervise();
      const items = given(300, 'number', { 200: 'uncloneable' }, '');
      const outcomes = await inputs.with({ type, supervisor }).all(items, { settle: true });
      expect(outcomes[200]).toMatchObject({ status: 'rejected', reason: { code: 'RESULT_NOT_CLONEABLE' } });
      expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    });

    it('no input sees what another has done to an argument that they share', async () => {
      await using supervisor = supervise();
      const shared = [7];
      const items = Array.from({ length: 300 }, (_, index): Given => ['changes', index, '', shared]);
      expect(new Set(await inputs.with({ type, supervisor }).all(items))).toEqual(new Set([2]));
      expect(shared).toEqual([7]);
    });
  });
}
