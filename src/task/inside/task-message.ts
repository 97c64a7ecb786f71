/** What a running task and its supervisor say to each other while it runs. */
import type { TaskOptions } from '../call/task-options.ts';
import type { WireDefinition } from '../definition/definition.ts';
import type { Progress } from '../record/progress.ts';
import type { EndReason } from '../record/task-info.ts';
import type { ChannelMessage } from './channel.ts';

export type TaskMessage = DataMessage | SubmitMessage | ChildCommandMessage | ChildUpdateMessage;

/** Between the task and whoever has its handle: messages, and the results of a generator. */
export interface DataMessage {
  readonly topic: 'message' | 'yield';
  readonly message: ChannelMessage;
}

/** What goes along with a task of the asynchronous context of its caller: see ContextCarrier. */
export interface CarriedContext {
  /** Of the carrier's one function: it captures, or restores. */
  readonly definition: WireDefinition;
  readonly value: unknown;
}

/** The task calls a background task. */
export interface SubmitMessage {
  readonly topic: 'submit';
  /** Of the new task. */
  readonly id: string;
  readonly definition: WireDefinition;
  /** Those that are plain data. */
  readonly options: TaskOptions;
  readonly args: readonly unknown[];
  /** Its module, with the cap that it has if the supervisor knows none of that name. */
  readonly module?: { readonly name: string; readonly maxWorkers: number };
  readonly carried?: CarriedContext;
}

/** What the task wants of a task that it has called. */
export interface ChildCommandMessage {
  readonly topic: 'child-command';
  readonly id: string;
  readonly command:
    | { readonly kind: 'cancel'; readonly reason: unknown }
    | { readonly kind: 'stop' }
    /** It waits for the end. */
    | { readonly kind: 'await' }
    | { readonly kind: 'data'; readonly data: DataMessage };
}

/** What became of a task that the task has called. */
interface ChildUpdateMessage {
  readonly topic: 'child-update';
  readonly id: string;
  readonly update: ChildUpdate;
}

export type ChildUpdate =
  | { readonly kind: 'started'; readonly hostId: number | undefined }
  | { readonly kind: 'retried' }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'data'; readonly data: DataMessage }
  | { readonly kind: 'ended'; readonly endReason: EndReason; readonly outcome: unknown };
