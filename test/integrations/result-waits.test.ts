/** ResultWaits: which tasks are looked up, and which are known to go on. */
import { setTimeout } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { ResultWaits } from '../../src/integrations/bullmq/client/result-waits.ts';

describe('waits for results', () => {
  let looked: string[];
  let waits: ResultWaits;
  let coming: string[];

  beforeEach(() => {
    looked = [];
    coming = [];
    const look = async (id: string) => {
      looked.push(id);
      return { value: () => 'looked up' };
    };
    const isComing = async (id: string) => coming.includes(id);
    waits = new ResultWaits('queue', look, isComing, () => ({ value: () => 'heard' }));
  });

  const completed = (jobId: string) => waits.onEvent({ event: 'completed', jobId });

  it('look nothing up for a task that was added while its end is heard', async () => {
    waits.expect(['a']);
    const wait = waits.wait('a', {}, true);
    completed('a');
    expect(await wait).toBe('heard');
    expect(looked).toEqual([]);
  });

  it('look nothing up for a task whose end was heard while it was still being added', async () => {
    waits.expect(['a', 'b']);
    completed('a');
    waits.added(['a', 'b']);
    expect(await waits.wait('a', {}, true)).toBe('heard');
    expect(looked).toEqual([]);
  });

  it('look up such a task for who waits in a later turn', async () => {
    waits.expect(['a']);
    completed('a');
    waits.added(['a']);
    await setTimeout(0); // its timer is behind the one that forgets the end
    expect(await waits.wait('a', {}, true)).toBe('looked up');
  });

  it('look up a task whose end came before the wait', async () => {
    waits.expect(['a']);
    waits.added(['a']);
    completed('a');
    expect(await waits.wait('a', {}, true)).toBe('looked up');
  });

  it('look up a task that nothing is known of', async () => {
    expect(await waits.wait('a', {}, true)).toBe('looked up');
  });

  it('look up a task that may not have been added, and all when ends may have been missed', async () => {
    waits.expect(['a', 'b']);
    completed('a');
    waits.expectNoMore(['a']);
    expect(await waits.wait('a', {}, true)).toBe('looked up');
    waits.onGap();
    expect(await waits.wait('b', {}, true)).toBe('looked up');
  });

  it('look up once what was waited for before ends were heard', async () => {
    const all = ['a', 'b'].map((id) => waits.wait(id, {}, false));
    expect(looked).toEqual([]);
    waits.onGap();
    expect(await Promise.all(all)).toEqual(['looked up', 'looked up']);
    expect(looked).toEqual(['a', 'b']);
  });

  it('have a result after the updates that are still on their way', async () => {
    const heard: unknown[] = [];
    waits.subscribe('a', (update) => heard.push(update));
    coming = ['a'];
    const wait = waits.wait('a', {}, true).then((result) => heard.push(result));
    await setTimeout(0); // it is looked up, and has ended
    expect({ looked, heard }).toEqual({ looked: ['a'], heard: [] });
    waits.onEvent({ event: 'progress', jobId: 'a', data: '25' });
    completed('a');
    await wait;
    expect(heard).toEqual([{ kind: 'progress', progress: { fraction: 0.25 } }, 'heard']);
  });

  it('have the result of a task that had ended before somebody subscribed', async () => {
    waits.subscribe('a', () => {});
    expect(await waits.wait('a', {}, true)).toBe('looked up');
  });
});
