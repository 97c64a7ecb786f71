/** The two channels between the holder of a handle and the running task, on the holder's side, through all attempts. */
import { TaskwardenError } from '../../base/errors.ts';
import { isInstance } from '../../base/foreign-value.ts';
import { Buffer, structuredClone } from '../../platform/globals.ts';
import { Channel } from '../inside/channel.ts';
import type { DataMessage } from '../inside/task-message.ts';

export class TaskChannels {
  /** Messages in both directions. What an attempt has not taken is sent again to the next one. */
  readonly messages: Channel;
  /** The values that a generator yields. */
  readonly results: Channel;

  constructor(send: (data: DataMessage) => void) {
    this.messages = new Channel((message) => send({ topic: 'message', message }), {
      resends: true,
      countsUnreadAsTaken: true,
    });
    this.results = new Channel((message) => send({ topic: 'yield', message }));
  }

  /** An attempt has started. */
  open(): this {
    this.messages.open();
    this.results.open();
    return this;
  }

  /** The attempt is over, and another may follow. */
  close(): void {
    this.messages.close();
    this.results.close();
  }

  /** The task has ended. */
  end(): void {
    this.messages.end();
    this.results.end();
  }

  handle({ topic, message }: DataMessage): void {
    (topic === 'message' ? this.messages : this.results).handle(message);
  }
}

/** Copies a message for a task that has not started. */
export function copyMessage(data: unknown, { id, name }: { readonly id?: string; readonly name: string }): unknown {
  try {
    return isInstance(data, Buffer) ? Buffer.from(data) : structuredClone(data);
  } catch (cause) {
    const message = `the message can't be sent to task "${name}": it can't be copied; send plain data`;
    throw new TaskwardenError('MESSAGE_NOT_CLONEABLE', message, { cause, ...(id !== undefined && { taskId: id }) });
  }
}
