/** EventReader, while it is behind the server. */
import type { IQueueBackend } from 'bullmq';
import { expect, it } from 'vitest';
import { type BullEvent, EventReader } from '../../src/integrations/bullmq/client/event-reader.ts';
import type { Server } from '../../src/integrations/bullmq/server/server.ts';

/** Gives a hundred events at a time, as PostgreSQL does. Each time that it is read, another one comes. */
class Stream {
  readonly ids: number[] = [];

  async publishEvent(): Promise<string> {
    return '0';
  }

  async readEvents(after: string): Promise<unknown> {
    const ids = this.ids.filter((id) => id > Number(after)).slice(0, 100);
    this.ids.push(this.ids.length + 1);
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
    eventsAfter: (_: string, place: string) => stream.readEvents(place),
    reading: async () => blocked as unknown as IQueueBackend,
  } as unknown as Server;
  const reader = new EventReader('queue', { onEvent: () => {}, onGap: () => {} });
  const isComing = (id: string) => reader.isComing(server, ({ jobId }: BullEvent) => jobId === id);
  stream.ids.push(...Array.from({ length: 250 }, (_, n) => n + 1));
  expect(await isComing('1')).toBe(false); // it does not listen
  await reader.start(server);
  expect([await isComing('1'), await isComing('250'), await isComing('none')]).toEqual([true, true, false]);
  reader.close();
});
