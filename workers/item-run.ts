/** The run of one item of a batch, in a thread or child. */
import { TaskwardenError } from '../src/base/errors.ts';
import { messageOf } from '../src/base/foreign-value.ts';
import { unpackId } from '../src/lanes/wire/columns.ts';
import type { RunMessage } from '../src/lanes/wire/protocol.ts';
import { checkReadable, packMessage } from '../src/lanes/wire/wire-message.ts';
import type { LoadedFunction } from '../src/task/definition/load-function.ts';
import { Run } from '../src/task/inside/run.ts';
import type { KeptWork } from '../src/task/inside/steps.ts';
import type { CarriedContext, TaskMessage } from '../src/task/inside/task-message.ts';
import type { Progress } from '../src/task/record/progress.ts';
import { taskId } from '../src/task/record/task-id.ts';
import type { HostPort } from './host-port.ts';

export class ItemRun extends Run {
  readonly item: number;
  /** Whether it has posted progress or messages. */
  hasPosted = false;
  readonly #host: HostPort;
  readonly #message: RunMessage;
  /** Its place in the batch. */
  readonly #index: number;
  #carrier: LoadedFunction | undefined;

  constructor(host: HostPort, message: RunMessage, index: number, args: readonly unknown[]) {
    super(args);
    this.#host = host;
    this.#message = message;
    this.#index = index;
    this.item = message.first + index;
  }

  get id(): string {
    const id = unpackId(this.#message.ids, this.#index);
    return typeof id === 'string' ? id : taskId(this.#host.idPrefix, id);
  }

  get name(): string {
    return this.#message.name;
  }

  get attempt(): number {
    return this.#message.attempts?.[this.#index] ?? 1;
  }

  override get keptWork(): KeptWork | undefined {
    return this.#message.kept?.[this.#index];
  }

  protected override get ownIdempotencyKey(): string | undefined {
    return this.#message.keys?.[this.#index];
  }

  protected isStopRequested(): boolean {
    return this.#host.control.isStopRequested(this.item);
  }

  protected report(progress: Progress): void {
    this.hasPosted = true;
    this.#host.post({ kind: 'progress', item: this.item, progress });
  }

  /** Calls the function in the context that it carries along. */
  callIn(carrier: LoadedFunction | undefined, { fn, receiver }: LoadedFunction): unknown {
    this.#carrier = carrier;
    if (carrier === undefined) return this.call(fn, receiver);
    return carrier.fn(this.#message.carried?.value, () => this.call(fn, receiver));
  }

  captureContext(): CarriedContext | undefined {
    const { carried } = this.#message;
    const value = this.#carrier?.fn(undefined);
    return carried === undefined || value === undefined ? undefined : { ...carried, value };
  }

  post(message: TaskMessage): void {
    try {
      checkReadable(message, this.#host.readBack);
      this.#host.post({ kind: 'task-message', item: this.item, message: packMessage(message) });
    } catch (cause) {
      const message = `what was sent can't be copied: ${messageOf(cause)}; send plain data`;
      throw new TaskwardenError('MESSAGE_NOT_CLONEABLE', message, { cause });
    }
    this.hasPosted = true;
  }

  poll(timeoutMs: number): boolean {
    const { control, poll } = this.#host;
    const { rings } = control;
    if (poll()) return true;
    if (timeoutMs <= 0) return false;
    control.waitForRing(rings, timeoutMs);
    return poll();
  }
}
