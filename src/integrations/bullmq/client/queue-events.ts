/** One stream of events of a queue, and who reads it: the waits for results, and those who listen to the queue. */
import type { Job } from 'bullmq';
import { resultOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import { type BullEvent, EventReader } from './event-reader.ts';
import { QueueFeed } from './queue-feed.ts';
import { isEndOf, ResultWaits, type TaskEnd } from './result-waits.ts';

export interface QueueEvents {
  readonly waits: ResultWaits;
  readonly feed: QueueFeed;
  readonly reader: EventReader;
}

/** Whether the server has an event that is wanted, and that the reader has not come to. */
export type IsComing = (reader: EventReader, isWanted: (event: BullEvent) => boolean) => Promise<boolean>;

/** @param lookUp Looks up the end of a task; undefined if it has not ended. @param find Looks a job up. */
export function queueEvents(
  queue: string,
  lookUp: (id: string) => Promise<TaskEnd | undefined>,
  find: (id: string) => Promise<Job | undefined>,
  isComing: IsComing,
): QueueEvents {
  const isEndComing = (id: string) => isComing(reader, (event) => isEndOf(id, event));
  const waits = new ResultWaits(queue, lookUp, isEndComing, ({ event, returnvalue }, id) => {
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
