/**
 * All messages between a lane and its threads or children. Tasks of one definition and name are sent in one message, in
 * columns: the n-th entry of each column belongs to the n-th task of the batch, called an item. Items are numbered for the
 * whole life of a host. A thread posts everything about an item before it begins the next.
 */
import type { MessagePort } from 'node:worker_threads';
import type { WireDefinition } from '../../task/definition/definition.ts';
import type { KeptWork } from '../../task/inside/steps.ts';
import type { CarriedContext } from '../../task/inside/task-message.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { ArgsColumn, IdsColumn } from './columns.ts';
import type { WireThrown } from './error-codec.ts';
import type { WireMessage } from './wire-message.ts';

/** Sent once, when a thread or child starts. */
export interface HostStart {
  /** What the ids of the supervisor's tasks begin with; the other side completes them with their sequence number. */
  readonly idPrefix: string;
  /** After this time, no more items of a batch begin, in milliseconds. */
  readonly batchMs: number;
  /** A larger heap after a batch is reported, in megabytes. */
  readonly maxHeapMb: number;
  /** How much lower than that of the program its system priority is to be. */
  readonly nice: number;
}

export interface ThreadStart extends HostStart {
  /** One for each of the tasks that run in the thread at the same time: each has a port and memory of its own. */
  readonly slots: readonly { readonly port: MessagePort; readonly control: SharedArrayBuffer }[];
}

export interface ProcessStart extends HostStart {
  /** How many tasks run in the child at the same time. */
  readonly slots: number;
  /** It notes in a file what it begins, instead of sending that. */
  readonly hasNotes: boolean;
}

export interface RunMessage {
  readonly kind: 'run';
  /** The index of the definition. */
  readonly definition: number;
  /** The definition itself, if the thread has to load it or the definition of `carried`. Then a `begin` reply follows. */
  readonly define?: WireDefinition;
  /** With `define`: the indexes of definitions that the thread need not keep. */
  readonly forget?: readonly number[];
  /** What the tasks are called. */
  readonly name: string;
  /** The number of the first item. */
  readonly first: number;
  /** How many tasks. */
  readonly items: number;
  readonly ids: IdsColumn;
  readonly args: ArgsColumn;
  /** Of a single task that was sent while another runs, and that the lane may take back until it begins. */
  readonly isAhead?: boolean;
  /** Of a single task: the indexes of the arguments that are Buffers. */
  readonly buffers?: readonly number[];
  /** Of a single task: the context of its caller that it carries along. */
  readonly carried?: CarriedContext;
  /** Absent if it is the first attempt of each. */
  readonly attempts?: readonly number[];
  /** The idempotency keys. Absent if they are the ids. */
  readonly keys?: readonly (string | undefined)[];
  /** What attempts before have kept. Absent if none has. */
  readonly kept?: readonly (KeptWork | undefined)[];
}

/** Arguments that are not in the column, in the order of the items. */
interface ArgsMessage {
  readonly kind: 'args';
  /** null: they can't be sent, and the item must not begin. */
  readonly args: readonly unknown[] | null;
  /** The indexes of the Buffers. */
  readonly buffers?: readonly number[];
}

interface StopMessage {
  readonly kind: 'stop';
  readonly item: number;
  /** It need not begin any more; otherwise its result is still wanted. */
  readonly isFinal: boolean;
  readonly reason: WireThrown;
}

/** A message of the task: to an item that has begun or is about to, or from one that runs. */
interface TaskDataMessage {
  readonly kind: 'task-message';
  readonly item: number;
  readonly message: WireMessage;
}

/** Replaces the next message if that can't be read. */
interface FallbackMessage {
  readonly kind: 'fallback';
  readonly item: number;
  readonly message: WireMessage;
}

/** Loads definitions and modules ahead. The `warm` reply lists what can't be loaded. */
interface WarmMessage {
  readonly kind: 'warm';
  readonly definitions: readonly WireDefinition[];
  readonly preload: { readonly modules: readonly string[]; readonly definitions: readonly WireDefinition[] };
}

/** Cleans up, and ends. Nothing runs. */
interface EndMessage {
  readonly kind: 'end';
}

/** From a lane to a thread or child. */
export type HostMessage =
  | RunMessage
  | ArgsMessage
  | StopMessage
  | TaskDataMessage
  | FallbackMessage
  | WarmMessage
  | EndMessage;

/**
 * Why a task failed in a thread: its function threw; it could not be found or loaded; its result can't be cloned.
 * What it threw may be cured by a retry, and so may a module that could not be loaded or set up.
 */
export type FailureKind = 'thrown' | 'unloadable' | 'uncloneable';

export interface Failed {
  /** `unread`: its arguments can't be read, such as a buffer that was handed over before. It never ran. */
  readonly kind: FailureKind | 'unread';
  readonly item: number;
  readonly error: WireThrown;
}

/** The outcome of an item. For the last item of a batch it also means that the batch is over. */
export type ItemReply =
  | { readonly kind: 'result'; readonly item: number; readonly value: unknown; readonly isBuffer: boolean }
  | Failed;

/** From a thread or child to its lane. */
export type HostReply =
  /** A new definition was loaded, and the batch begins. */
  | { readonly kind: 'begin' }
  /** It has teardowns to call at its end. */
  | { readonly kind: 'has-teardown' }
  /** It has loaded the definitions of a `warm` message, except `missing`; `problems` are those of the preload. */
  | { readonly kind: 'warm'; readonly missing: readonly number[]; readonly problems: readonly WireThrown[] }
  /** Its heap is larger than `maxHeapMb`. */
  | { readonly kind: 'heavy' }
  /** A teardown has failed. */
  | { readonly kind: 'teardown'; readonly error: WireThrown }
  | ItemReply
  /**
   * The batch before item `end` is over. Items that have not begun are given back, because those before them took longer
   * than estimated.
   */
  | { readonly kind: 'done'; readonly end: number }
  | { readonly kind: 'progress'; readonly item: number; readonly progress: Progress }
  | TaskDataMessage
  /** Only from a child, whose memory the lane can't see: the items that a recall has withdrawn. */
  | { readonly kind: 'recalled'; readonly items: readonly number[] }
  /** The last message of a thread or child that an uncaught error ends. */
  | { readonly kind: 'crash'; readonly error: WireThrown };
