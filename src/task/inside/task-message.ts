/** What a running task and its supervisor say to each other while it runs. */
import type { TaskOptions } from '../call/task-options.ts';
import type { WireDefinition } from '../definition/definition.ts';
import type { Progress } from '../record/progress.ts';
import type { EndReason } from '../record/task-info.ts';
import type { Word } from './channel.ts';

export type TaskWord = Talk | Submit | Order | News;

/** Between the task and whoever has its handle: messages, and the results of a generator. */
export interface Talk {
  readonly topic: 'message' | 'yield';
  readonly word: Word;
}

/** What goes along with a task of the asynchronous context of its caller: see ContextCarrier. */
export interface Carried {
  /** Of the carrier's one function: it captures, or restores. */
  readonly definition: WireDefinition;
  readonly value: unknown;
}

/** The task calls a background task. */
export interface Submit {
  readonly topic: 'submit';
  /** Of the new task. */
  readonly id: string;
  readonly definition: WireDefinition;
  /** Those that are plain data. */
  readonly options: TaskOptions;
  readonly args: readonly unknown[];
  /** Its module, with the cap that it has if the supervisor knows none of that name. */
  readonly module?: { readonly name: string; readonly maxWorkers: number };
  readonly carried?: Carried;
}

/** What the task wants of a task that it has called. */
export interface Order {
  readonly topic: 'order';
  readonly id: string;
  readonly order:
    | { readonly kind: 'cancel'; readonly reason: unknown }
    | { readonly kind: 'stop' }
    /** It waits for the end. */
    | { readonly kind: 'await' }
    | { readonly kind: 'talk'; readonly talk: Talk };
}

/** What became of a task that the task has called. */
interface News {
  readonly topic: 'news';
  readonly id: string;
  readonly news: TaskNews;
}

export type TaskNews =
  | { readonly kind: 'started'; readonly hostId: number | undefined }
  | { readonly kind: 'retried' }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'talk'; readonly talk: Talk }
  | { readonly kind: 'ended'; readonly endReason: EndReason; readonly outcome: unknown };
