/** EventReader, while it is behind the server. */
import type { IQueueBackend } from 'bullmq';
import { expect, it } from 'vitest';
import { type BullEvent, EventReader } from '../../src/integrations/bullmq/client/event-reader.ts';
import type { Server } from '../../src/integrations/bullmq/server/server.ts';

/** Gives two events at a time, as PostgreSQL gives a hundred; only what is called for at once gets them. */
class Stream {
  readonly ids: number[] = [];

  async publishEvent(): Promise<string> {
    return '0';
  }

  async readEvents(after: string): Promise<unknown> {
    const ids = this.ids.filter((id) => id > Number(after)).slice(0, 2);
    return ids.length === 0 ? null : [['events', ids.map((id) => [`${id}`, ['event', 'added', 'jobId', `${id}`]])]];
  }
}

it('knows what the server has that it has not read yet', async () => {
  const stream = new Stream();
  const never = { readEvents: () => new Promise(() => {}) };
  let reads = 0;
  // Its first read is the one with which it begins to listen.
  const blocked = { readEvents: () => (reads++ === 0 ? stream.readEvents('0') : never.readEvents()) };
  const server = {
    ordersEvents: true,
    backend: () => stream as unknown as IQueueBackend,
    reading: async () => blocked as unknown as IQueueBackend,
  } as unknown as Server;
  const reader = new EventReader('queue', { onEvent: () => {}, onGap: () => {} });
  const isComing = (id: string) => reader.isComing(server, ({ jobId }: BullEvent) => jobId === id);
  stream.ids.push(1, 2, 3, 4, 5);
  expect(await isComing('1')).toBe(false); // it does not listen
  await reader.start(server);
  expect(await Promise.all(['1', '5', '6'].map(isComing))).toEqual([true, true, false]);
  reader.close();
});
