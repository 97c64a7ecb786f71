/** The messages between a running task and its supervisor. */
import type { Priority } from '../../queue/priority.ts';
import type { TaskOptions } from '../call/task-options.ts';
import type { WireDefinition } from '../definition/definition.ts';
import type { BulkOptions } from '../inputs/bulk-options.ts';
import type { Arity } from '../inputs/chunk.ts';
import type { Progress } from '../record/progress.ts';
import type { EndReason } from '../record/task-info.ts';
import type { ChannelMessage } from './channel-message.ts';

export type TaskMessage =
  | DataMessage
  | SubmitMessage
  | ChildCommandMessage
  | ChildUpdateMessage
  | ChunkBegunMessage
  | ChunkRecallMessage
  | ChunkRecalledMessage
  | InputOutcomeMessage
  | KeepMessage
  | KeptMessage;

/** Between the task and the holder of its handle: messages, and the values that a generator yields. */
export interface DataMessage {
  readonly topic: 'message' | 'yield';
  readonly message: ChannelMessage;
}

/** The part of the caller's asynchronous context that a task carries along: see ContextCarrier. */
export interface CarriedContext {
  /** Of the carrier's function, which both captures and restores. */
  readonly definition: WireDefinition;
  readonly value: unknown;
}

/** The task calls a background task. */
export interface SubmitMessage {
  readonly topic: 'submit';
  /** The id of the new task. */
  readonly id: string;
  readonly definition: WireDefinition;
  /** Those options that are plain data. */
  readonly options: TaskOptions;
  readonly args: readonly unknown[];
  /** Its module; the limits are used if the supervisor has no module of that name. */
  readonly module?: { readonly name: string; readonly limits: object };
  readonly carried?: CarriedContext;
  /** It is an `all()` of these inputs, whose arguments are in a row. */
  readonly bulk?: { readonly arity: Arity; readonly count: number; readonly options: BulkOptions };
  /** Why its signal was aborted before the call: the task is never to run. */
  readonly aborted?: { readonly reason: unknown };
}

/** The task commands a task that it has called. */
export interface ChildCommandMessage {
  readonly topic: 'child-command';
  readonly id: string;
  readonly command:
    | { readonly kind: 'cancel'; readonly reason: unknown }
    | { readonly kind: 'stop' }
    | { readonly kind: 'set-priority'; readonly priority: Priority }
    /** The caller waits for its end. */
    | { readonly kind: 'await' }
    | { readonly kind: 'data'; readonly data: DataMessage };
}

/** The first input of a chunk begins. Only where no memory is shared. */
interface ChunkBegunMessage {
  readonly topic: 'chunk-begun';
}

/** To a chunk: no further input of it is to begin. Only where no memory is shared. */
interface ChunkRecallMessage {
  readonly topic: 'chunk-recall';
}

/** The answer: none begins any more but those that have begun. */
interface ChunkRecalledMessage {
  readonly topic: 'chunk-recalled';
  readonly begun: number;
}

/** An input of a chunk has ended. */
export interface InputOutcomeMessage {
  readonly topic: 'input-outcome';
  /** Its index in the chunk. */
  readonly index: number;
  readonly hasFailed: boolean;
  /** The result, or what was thrown. */
  readonly value: unknown;
}

/** A piece of work that the next attempts of the task are to have. */
export interface KeepMessage {
  readonly topic: 'keep';
  /** Of those of the attempt. */
  readonly number: number;
  readonly name: string;
  readonly work: Uint8Array;
}

/** The answer: it is kept, or why not. */
export interface KeptMessage {
  readonly topic: 'kept';
  readonly number: number;
  readonly refusal?: { readonly error: unknown } | undefined;
}

/** A task that the task has called has changed. */
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
  | {
      readonly kind: 'ended';
      readonly endReason: EndReason;
      readonly outcome: unknown;
      /** There may be errors in its result. */
      readonly holdsErrors?: boolean;
    };
