/** LateEvents, on a stream whose events can be seen in another order than that of their numbers. */
import type { IQueueBackend } from 'bullmq';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { EventOrder } from '../../src/integrations/bullmq/client/event-order.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** What can be seen; `read` is how often it was looked. */
class Stream {
  readonly visible = new Set<number>();
  isAway = false;
  reads = 0;

  see(...ids: number[]): string[] {
    for (const id of ids) this.visible.add(id);
    return ids.map(String);
  }

  async readEvents(after: string): Promise<unknown> {
    this.reads += 1;
    if (this.isAway) throw new Error('away');
    const ids = [...this.visible].filter((id) => id > Number(after)).sort((a, b) => a - b);
    return ids.length === 0 ? null : [['events', ids.slice(0, 2).map((id) => [`${id}`, ['event', `e${id}`]])]];
  }
}

function make(): { stream: Stream; heard: unknown[]; late: EventOrder } {
  const stream = new Stream();
  const heard: unknown[] = [];
  const late = new EventOrder(stream as unknown as IQueueBackend, '0', (fields) => heard.push(fields[1]));
  return { stream, heard, late };
}

it('hears an event that could be seen only after later ones, once', async () => {
  const { stream, heard, late } = make();
  late.add(stream.see(1, 3, 4, 6));
  stream.see(2, 5);
  await vi.runAllTimersAsync();
  late.add(stream.see(7));
  await vi.runAllTimersAsync();
  expect(heard).toEqual(['e2', 'e5']);
});

it('reads again what came while it read', async () => {
  const { stream, heard, late } = make();
  late.add(stream.see(1));
  late.add(stream.see(3));
  stream.see(2);
  await vi.runAllTimersAsync();
  expect(heard).toEqual(['e2']);
});

it('asks nothing when nothing was heard, and after it was closed', async () => {
  const { stream, late } = make();
  await vi.runAllTimersAsync();
  late.add(stream.see(1));
  late.close();
  late.add(stream.see(2));
  await vi.runAllTimersAsync();
  expect(stream.reads).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

it('reads them when the server is back', async () => {
  const { stream, heard, late } = make();
  stream.isAway = true;
  late.add(stream.see(2));
  stream.see(1);
  await vi.advanceTimersByTimeAsync(1_000);
  stream.isAway = false;
  await vi.runAllTimersAsync();
  expect(heard).toEqual(['e1']);
});
