/**
 * Every message that crosses between a lane and its threads. Tasks of one definition and name travel in one
 * message, in columns: the n-th entry of each array belongs to the n-th task of the batch, which both sides call item n.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Progress } from '../task/context.ts';
import type { WireDefinition } from '../task/definition.ts';
import type { WireThrown } from './error-codec.ts';

/** Handed over once, when a thread starts. */
export interface ThreadStart {
  /** The URL of what the thread runs: this package's `workers/thread`. */
  readonly module: string;
  readonly port: MessagePort;
  readonly control: SharedArrayBuffer;
  /** What the ids of the supervisor's tasks begin with; the other side completes them with their sequence number. */
  readonly idPrefix: string;
}

export interface RunMessage {
  readonly kind: 'run';
  /** The index of the definition. */
  readonly definition: number;
  /** The definition itself, the first time that this thread runs it. */
  readonly define?: WireDefinition;
  /** What the tasks are called. */
  readonly name: string;
  /** A task's sequence number, or the id that it was given. */
  readonly ids: readonly (number | string)[];
  readonly args: readonly (readonly unknown[])[];
  /** Which arguments were Buffers: an item, and their places. */
  readonly buffers?: readonly (readonly [number, readonly number[]])[];
  readonly attempts: readonly number[];
}

interface StopMessage {
  readonly kind: 'stop';
  readonly item: number;
  readonly reason: WireThrown;
}

/** From a lane to a thread. */
export type HostMessage = RunMessage | StopMessage;

/**
 * Why a task failed in a thread: its function threw; it could not be found or loaded; its result can't be cloned.
 * Only what it threw can be cured by a retry.
 */
export type FailureKind = 'thrown' | 'unloadable' | 'uncloneable';

export interface WireFailure {
  readonly item: number;
  readonly kind: FailureKind;
  readonly error: WireThrown;
}

export interface DoneMessage {
  readonly kind: 'done';
  readonly results: unknown[];
  /** Which results were Buffers. */
  readonly buffers?: readonly number[];
  readonly failures?: readonly WireFailure[];
  /** Run time of each item in milliseconds. */
  readonly runMs: readonly number[];
}

/** From a thread to its lane. */
export type HostReply =
  /** A new definition was loaded, and the batch begins. */
  | { readonly kind: 'begin' }
  | DoneMessage
  /** A batch arrived that can't be read, such as one with a buffer that was handed over before; nothing of it began. */
  | { readonly kind: 'unread'; readonly error: WireThrown }
  | { readonly kind: 'progress'; readonly item: number; readonly progress: Progress }
  /** The last word of a thread that an uncaught error ends. */
  | { readonly kind: 'crash'; readonly error: WireThrown };
