/** What a bulk needs of its supervisor. */
import type { Progress } from '../../task/record/progress.ts';
import type { Task } from '../../task/record/task.ts';
import type { EndReason } from '../../task/record/task-info.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import type { PartMaker } from './part.ts';

export interface BulkHost {
  makeParts(bulk: Task): PartMaker;
  /** How many slots there are for its priority. */
  slots(task: Task): number;
  /** Queues a part. */
  submit(part: Task, bulk: Task): void;
  /** Resolves when one more part may wait; undefined: it may. */
  waitForRoom(task: Task): Promise<void> | undefined;
  cancel(part: Task, request: EndRequest): void;
  /** Asks a chunk to begin no further input. */
  recall(part: Task): void;
  started(bulk: Task): void;
  progress(bulk: Task, progress: Progress): void;
  completed(bulk: Task, result: unknown): void;
  settle(bulk: Task, reason: EndReason, outcome: unknown): void;
  /** So many more inputs are known. */
  countSubmitted(inputs: number): void;
  countEnded(reason: EndReason, inputs: number): void;
}
