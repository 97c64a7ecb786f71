/** The events of a supervisor, and their emitter: all listeners are called, though one of them throws. */
import type { EventEmitter } from 'eventemitter3';
import { callSafely } from '../../base/call-safely.ts';
import { rules } from '../../base/options.ts';
import { requireLate } from '../../platform/package-files.ts';
import type { Priority } from '../../queue/priority.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { TaskInfo } from '../../task/record/task-info.ts';

/** What became of the tasks that were pending when a supervisor was stopped. */
export interface StopReport {
  /** Tasks that ended by themselves, successfully or not. */
  readonly finished: number;
  /** Tasks that never began, or ended because they were asked to. */
  readonly canceled: number;
  /** Tasks that did not stop when they were asked, and lost their thread or child. */
  readonly terminated: number;
  /** Tasks that the supervisor itself has lost, and waits for no longer. Present only if there are any. */
  readonly missing?: number;
}

interface TaskEvent {
  readonly task: TaskInfo;
}

/**
 * Each event with its payload. An event is emitted after the state has changed. Events that a listener causes are
 * emitted when all listeners of the present event have returned.
 */
export interface SupervisorEvents {
  'task:queued': TaskEvent;
  'task:started': TaskEvent;
  'task:progress': TaskEvent & { readonly progress: Progress };
  'task:completed': TaskEvent & { readonly result: unknown };
  'task:failed': TaskEvent & { readonly error: unknown };
  'task:canceled': TaskEvent & { readonly error: unknown };
  /** An attempt failed, and there will be another, `delayMs` from now. */
  'task:retried': TaskEvent & { readonly error: unknown; readonly delayMs: number };
  /** The task has waited for longer than `timeoutWarningMs`. */
  'task:timeout-warning': TaskEvent & { readonly waitMs: number };
  /** The task has waited for longer than `timeoutCriticalMs`. */
  'task:timeout-critical': TaskEvent & { readonly waitMs: number };
  'thread:started': { readonly threadId: number };
  'thread:exited': { readonly threadId: number; readonly exitCode: number; readonly cause: unknown };
  'child:started': { readonly pid: number };
  /** `exitCode`, or the `signal` that ended it. */
  'child:exited': {
    readonly pid: number;
    readonly exitCode: number | undefined;
    readonly signal: NodeJS.Signals | undefined;
    readonly cause: unknown;
  };
  'supervisor:started': { readonly id: string };
  /** Of all tasks, or of one `priority`. */
  'supervisor:paused': { readonly id: string; readonly priority: Priority | undefined };
  'supervisor:resumed': { readonly id: string; readonly priority: Priority | undefined };
  'module:paused': { readonly name: string };
  'module:resumed': { readonly name: string };
  'worker:paused': { readonly name: string };
  'worker:resumed': { readonly name: string };
  'supervisor:stopping': { readonly id: string };
  'supervisor:stopped': { readonly id: string; readonly report: StopReport };
}

export type EventName = keyof SupervisorEvents;
export type EventListener<E extends EventName> = (event: SupervisorEvents[E]) => unknown;
// biome-ignore lint/suspicious/noExplicitAny: listeners of all events are kept the same way.
type AnyListener = (event: any) => unknown;

/** Emits the events of a supervisor, with the methods of eventemitter3. */
export abstract class SupervisorEmitter {
  /** eventemitter3 is loaded when there is a first listener. */
  #emitter: EventEmitter<Record<EventName, AnyListener>> | undefined;
  readonly #guarded = new WeakMap<AnyListener, Map<EventName, AnyListener>>();

  /** Is called with what a listener throws or rejects with. */
  protected abstract onListenerProblem(problem: unknown, event: EventName): void;

  on<E extends EventName>(event: E, listener: EventListener<E>): this {
    this.#open().on(event, this.#guard(listener, event));
    return this;
  }

  once<E extends EventName>(event: E, listener: EventListener<E>): this {
    this.#open().once(event, this.#guard(listener, event));
    return this;
  }

  /** Removes a listener; without one, all of that event. */
  off<E extends EventName>(event: E, listener?: EventListener<E>): this {
    this.#emitter?.off(event, listener && this.#guard(listener, event));
    return this;
  }

  addListener<E extends EventName>(event: E, listener: EventListener<E>): this {
    return this.on(event, listener);
  }

  removeListener<E extends EventName>(event: E, listener?: EventListener<E>): this {
    return this.off(event, listener);
  }

  removeAllListeners(event?: EventName): this {
    this.#emitter?.removeAllListeners(event);
    return this;
  }

  listenerCount(event: EventName): number {
    return this.#emitter?.listenerCount(event) ?? 0;
  }

  eventNames(): EventName[] {
    return this.#emitter?.eventNames() ?? [];
  }

  /** Returns whether there was a listener. What a listener throws is logged, and the others are called all the same. */
  emit<E extends EventName>(event: E, payload: SupervisorEvents[E]): boolean {
    return this.#emitter?.emit(event, payload) ?? false;
  }

  #open(): EventEmitter<Record<EventName, AnyListener>> {
    const { EventEmitter } = requireLate('eventemitter3') as typeof import('eventemitter3');
    this.#emitter ??= new EventEmitter();
    return this.#emitter;
  }

  /** Wraps a listener so that it can't throw. The same wrapper each time, so that `off()` finds it. */
  #guard(listener: AnyListener, event: EventName): AnyListener {
    rules.function(listener, `the listener of ${event}`);
    const byEvent = this.#guarded.get(listener) ?? new Map<EventName, AnyListener>();
    this.#guarded.set(listener, byEvent);
    const guarded =
      byEvent.get(event) ??
      ((payload: unknown) => callSafely(listener, payload, (problem) => this.onListenerProblem(problem, event)));
    byEvent.set(event, guarded);
    return guarded;
  }
}
