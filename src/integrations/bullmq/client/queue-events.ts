/** One stream of events of a queue, and who reads it: the waits for results, and those who listen to the queue. */
import type { Job } from 'bullmq';
import { resultOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import { EventReader } from './event-reader.ts';
import { QueueFeed } from './queue-feed.ts';
import { ResultWaits, type TaskEnd } from './result-waits.ts';

export interface QueueEvents {
  readonly waits: ResultWaits;
  readonly feed: QueueFeed;
  readonly reader: EventReader;
}

/** @param lookUp Looks up the end of a task; undefined if it has not ended. @param find Looks a job up. */
export function queueEvents(
  queue: string,
  lookUp: (id: string) => Promise<TaskEnd | undefined>,
  find: (id: string) => Promise<Job | undefined>,
): QueueEvents {
  const waits = new ResultWaits(queue, lookUp, ({ event, returnvalue }, id) => {
    if (event !== 'completed') return undefined;
    const result = parseJson(returnvalue);
    return result === undefined ? undefined : { value: () => resultOf(result, queue, id) };
  });
  const feed = new QueueFeed(queue, find);
  const reader = new EventReader(queue, {
    onEvent: (event, time) => {
      waits.onEvent(event);
      feed.onEvent(event, time);
    },
    onGap: () => {
      waits.onGap();
      feed.onGap();
    },
  });
  return { waits, feed, reader };
}
