/**
 * What is known of each upload: from the moment it is accepted until its result has expired. Each record ends once, with
 * what the queue's courier says of it.
 */
import { randomUUID } from 'node:crypto';
import type { TaskInfo, TaskSupervisor } from 'taskwarden';
import { type Inspection, uploads } from './uploads.ts';

interface Facts {
  readonly id: string;
  readonly bytes: number;
  /** In epoch milliseconds. */
  readonly timeAccepted: number;
}

export type UploadRecord = Facts &
  (
    | { readonly status: 'waiting' }
    | { readonly status: 'running'; readonly progress: number }
    | { readonly status: 'done'; readonly timeFinished: number; readonly result: Inspection }
    | {
        readonly status: 'failed';
        readonly timeFinished: number;
        readonly error: { readonly name: string; readonly message: string; readonly code?: string };
      }
  );

export interface UploadCounts {
  readonly accepted: number;
  readonly done: number;
  readonly failed: number;
  readonly unfinished: number;
  /** How many results have not expired, and how many uploads have not ended. */
  readonly kept: number;
  /** How often the function has run to its end: once for each upload that has ended. */
  readonly runs: number;
}

export class UploadRecords {
  readonly #supervisor: TaskSupervisor;
  readonly #records = new Map<string, UploadRecord>();
  #accepted = 0;
  #done = 0;
  #failed = 0;
  #runs = 0;

  /** @param supervisor Runs the uploads. */
  constructor(supervisor: TaskSupervisor) {
    this.#supervisor = supervisor;
    const count = ({ task }: { readonly task: TaskInfo }) => {
      if (task.worker === uploads.name) this.#runs += 1;
    };
    supervisor.on('task:completed', count).on('task:failed', count);
  }

  /** Puts a body into the queue. Rejects with `QUEUE_FULL`; then nothing was accepted. */
  async accept(body: Uint8Array): Promise<UploadRecord> {
    const facts: Facts = { id: randomUUID(), bytes: body.length, timeAccepted: Date.now() };
    const { id } = facts;
    const accepted: UploadRecord = { ...facts, status: 'waiting' };
    this.#records.set(id, accepted);
    try {
      await uploads.put(body, { id, wait: false });
    } catch (error) {
      this.#records.delete(id);
      throw error;
    }
    this.#accepted += 1;
    void this.#end(facts);
    return accepted;
  }

  async #end(facts: Facts): Promise<void> {
    const { courier, queueName } = uploads;
    const { id } = facts;
    try {
      const result = await courier.waitForTaskResult<Inspection>(queueName, id);
      this.#records.set(id, { ...facts, status: 'done', timeFinished: Date.now(), result });
      this.#done += 1;
    } catch (problem) {
      const { name, message, code } = problem as Error & { code?: string };
      const error = { name, message, ...(code !== undefined && { code }) };
      this.#records.set(id, { ...facts, status: 'failed', timeFinished: Date.now(), error });
      this.#failed += 1;
      await courier.removeDeadLetters(queueName, [id]); // its body is of no use any more
    }
  }

  /** While it runs, TaskInfo knows most: the task of an upload has its id. */
  find(id: string): UploadRecord | undefined {
    const record = this.#records.get(id);
    const info = this.#supervisor.getTaskInfo(id);
    if (record?.status !== 'waiting' || info?.status !== 'started') return record;
    return { ...record, status: 'running', progress: info.progress?.fraction ?? 0 };
  }

  /** Forgets the uploads that ended so long ago. Gives how many. */
  expire(resultTtlMs: number): number {
    const before = this.#records.size;
    for (const [id, record] of this.#records) {
      if ('timeFinished' in record && record.timeFinished <= Date.now() - resultTtlMs) this.#records.delete(id);
    }
    return before - this.#records.size;
  }

  get counts(): UploadCounts {
    return {
      accepted: this.#accepted,
      done: this.#done,
      failed: this.#failed,
      unfinished: this.#accepted - this.#done - this.#failed,
      kept: this.#records.size,
      runs: this.#runs,
    };
  }
}
