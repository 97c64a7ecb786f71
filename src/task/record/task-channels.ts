/** What the holder of a handle and the running task say to each other: the holder's end, through all attempts. */
import { TaskwardenError } from '../../base/errors.ts';
import { isInstance } from '../../base/foreign-value.ts';
import { Buffer, structuredClone } from '../../platform/globals.ts';
import { Channel } from '../inside/channel.ts';
import type { DataMessage } from '../inside/task-message.ts';

export class TaskChannels {
  /** What was sent and not taken is said again to the next attempt. */
  readonly messages: Channel;
  /** What a generator yields. */
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

  /** The attempt is over, and was not the last. */
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

/** Of a message for a task that has not begun. */
export function copyMessage(data: unknown, { id, name }: { readonly id?: string; readonly name: string }): unknown {
  try {
    return isInstance(data, Buffer) ? Buffer.from(data) : structuredClone(data);
  } catch (cause) {
    const message = `the message can't be sent to task "${name}": it can't be copied; send plain data`;
    throw new TaskwardenError('MESSAGE_NOT_CLONEABLE', message, { cause, ...(id !== undefined && { taskId: id }) });
  }
}
