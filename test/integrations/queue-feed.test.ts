/** The events of a queue, where what BullMQ's own say too little of is looked up late. */
import type { Job } from 'bullmq';
import { expect, it } from 'vitest';
import type { QueueEvent } from '../../src/index.ts';
import { QueueFeed } from '../../src/integrations/bullmq/client/queue-feed.ts';

it('a retry is told, though the task had failed before it was looked up', async () => {
  const told: QueueEvent[] = [];
  const failed = { name: 'sum', data: {}, opts: {}, attemptsMade: 1, failedReason: 'first' } as unknown as Job;
  const feed = new QueueFeed('work', async () => failed);
  await new Promise<void>((resolve) => {
    feed.subscribe((event) => {
      told.push(event);
      if (told.length === 3) resolve();
    });
    feed.onEvent({ event: 'added', jobId: '1', name: 'sum' }, 1);
    feed.onEvent({ event: 'active', jobId: '1', prev: 'waiting' }, 2);
    feed.onEvent({ event: 'delayed', jobId: '1', delay: '9' }, 3);
  });
  expect(told.map(({ kind }) => kind)).toEqual(['added', 'started', 'retried']);
});
