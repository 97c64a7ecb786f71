/**
 * Every message that crosses between a lane and its threads or children. Tasks of one definition and name travel in one
 * message, in columns: the n-th entry of each belongs to the n-th task of the batch, which both sides call item n.
 * What a thread says of an item is said before it begins the next.
 */
import type { MessagePort } from 'node:worker_threads';
import type { WireDefinition } from '../../task/definition/definition.ts';
import type { CarriedContext } from '../../task/inside/task-message.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { ArgsColumn, IdsColumn } from './columns.ts';
import type { WireThrown } from './error-codec.ts';
import type { WireMessage } from './wire-message.ts';

/** Handed over once, when a thread or child starts. */
export interface HostStart {
  /** What the ids of the supervisor's tasks begin with; the other side completes them with their sequence number. */
  readonly idPrefix: string;
  /** After so many milliseconds, no more items of a batch begin. */
  readonly batchMs: number;
  /** A heap that is larger after a batch is told of. */
  readonly maxHeapMb: number;
}

export interface ThreadStart extends HostStart {
  readonly port: MessagePort;
  readonly control: SharedArrayBuffer;
}

export interface RunMessage {
  readonly kind: 'run';
  /** The index of the definition. */
  readonly definition: number;
  /** The definition itself, if this thread is to load it, or what `carried` needs: then a reply says when that is done. */
  readonly define?: WireDefinition;
  /** With `define`: the indexes of definitions that the thread need not keep. */
  readonly forget?: readonly number[];
  /** What the tasks are called. */
  readonly name: string;
  /** How many tasks. */
  readonly items: number;
  readonly ids: IdsColumn;
  readonly args: ArgsColumn;
  /** Which arguments of an only task are Buffers. */
  readonly buffers?: readonly number[];
  /** Of an only task: what of its caller's context goes along. */
  readonly carried?: CarriedContext;
  /** Absent: it is the first of each. */
  readonly attempts?: readonly number[];
  /** What is the same for all attempts. Absent: the id of each. */
  readonly keys?: readonly (string | undefined)[];
}

/** Arguments that are not in the column, in the order of the items. */
interface ArgsMessage {
  readonly kind: 'args';
  /** null: they can't be sent, and the item is never to begin. */
  readonly args: readonly unknown[] | null;
  /** Which of them are Buffers. */
  readonly buffers?: readonly number[];
}

interface StopMessage {
  readonly kind: 'stop';
  readonly item: number;
  /** It need not begin any more; else what it returns is still wanted. */
  readonly isFinal: boolean;
  readonly reason: WireThrown;
}

/** To an item that has begun, or that is about to; or from one that runs. */
interface TaskDataMessage {
  readonly kind: 'task-message';
  readonly item: number;
  readonly message: WireMessage;
}

/** What the next message says if it can't be read. */
interface FallbackMessage {
  readonly kind: 'fallback';
  readonly item: number;
  readonly message: WireMessage;
}

/** Loads what will be needed; what can't be loaded is told when it is. */
interface WarmMessage {
  readonly kind: 'warm';
  readonly definitions: readonly WireDefinition[];
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

/** What an item came to; for the last item of a batch it says that the batch is over, too. */
export type ItemReply =
  | { readonly kind: 'result'; readonly item: number; readonly value: unknown; readonly isBuffer: boolean }
  | Failed;

/** From a thread or child to its lane. */
export type HostReply =
  /** A new definition was loaded, and the batch begins. */
  | { readonly kind: 'begin' }
  /** It has something to clean up at its end. */
  | { readonly kind: 'has-teardown' }
  /** What was to be loaded is, as far as it can be. */
  | { readonly kind: 'warm'; readonly missing: readonly number[] }
  /** Its heap is larger than it is to be. */
  | { readonly kind: 'heavy' }
  /** Cleaning up has failed. */
  | { readonly kind: 'teardown'; readonly error: WireThrown }
  | ItemReply
  /** The batch is over. Items that have not begun are given back: those before them took longer than was thought. */
  | { readonly kind: 'done' }
  | { readonly kind: 'progress'; readonly item: number; readonly progress: Progress }
  | TaskDataMessage
  /** Only from a child, whose memory the lane can't see: items that will never begin, since it was asked so. */
  | { readonly kind: 'recalled'; readonly items: readonly number[] }
  /** The last word of a thread that an uncaught error ends. */
  | { readonly kind: 'crash'; readonly error: WireThrown };

const outcomes: ReadonlySet<unknown> = new Set<ItemReply['kind']>([
  'result',
  'thrown',
  'unloadable',
  'uncloneable',
  'unread',
]);

/** Whether the reply is about an item of a batch that has to be the last one that was posted. */
export function isOfBatch(reply: HostReply): boolean {
  return outcomes.has(reply.kind) || reply.kind === 'begin' || reply.kind === 'done';
}
