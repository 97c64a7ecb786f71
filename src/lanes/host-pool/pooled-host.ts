/**
 * One thread or child of a pool. Each of the tasks that may run in it at the same time has a slot, which is a connection of
 * its own; what concerns them all is here.
 */
import type { Exit } from '../../base/exit.ts';
import { Timer } from '../../platform/clock.ts';
import { type Deferred, defer } from '../../platform/deferred.ts';
import type { Host, HostListener, HostOptions, StartHost } from '../hosts/host.ts';

/** How long a host may take to start, and to load what its predecessor had loaded, in milliseconds. */
const longestStartMs = 60_000;

/**
 *   starting ──▶ idle ◀──▶ busy
 *       └──────────┴────────┴──▶ ending ──▶ (exited)
 */
export type HostState = 'starting' | 'idle' | 'busy' | 'ending';

/** What a host needs to know of its slots. */
interface HostSlot {
  host: Host | undefined;
  readonly state: HostState;
  readonly since: number;
}

export class PooledHost<S extends HostSlot> {
  /** At least one, before it is started. */
  readonly slots: S[] = [];
  /** Counted by the slots: there may be a thousand, and each start of a task compares hosts by it. */
  idleSlots = 0;
  /** The host that it is to replace, after it has loaded the same definitions. */
  predecessor: PooledHost<S> | undefined;
  /** Called when its successor has died before it was ready. */
  readonly onSuccessorDied: (() => void)[] = [];
  /** It has the system priority of the program, if others have a lower one. */
  isUrgent = false;
  /** It has been up. Only then is its exit an event, and only then can it be asked to clean up. */
  wasUp = false;
  /** All its slots have become ready for tasks. */
  wasReady = false;
  isEnding = false;
  /** It has completed a batch. */
  hasAnswered = false;
  /** A module could not be loaded in it. It keeps that failure, so the module can never be loaded there. */
  hasLoadFailure = false;
  /** It has something to clean up at its end. */
  hasTeardown = false;
  /** Why it is ended, if that is to be known as the cause of its exit. */
  cause: unknown;
  /** Resolves when it is ready for tasks, or has exited. */
  readonly settled: Deferred = defer();
  readonly exited: Deferred = defer();
  #startTimer: Timer | undefined;

  constructor(predecessor?: PooledHost<S>) {
    this.predecessor = predecessor;
  }

  /** It is starting until all its slots are ready, and idle when nothing runs in any. */
  get state(): HostState {
    if (this.isEnding) return 'ending';
    if (!this.wasReady) return 'starting';
    return this.busySlots === 0 ? 'idle' : 'busy';
  }

  get busySlots(): number {
    return this.slots.length - this.idleSlots;
  }

  /** Since when it is idle, if it is. */
  get since(): number {
    let last = 0;
    for (const { since } of this.slots) if (since > last) last = since;
    return last;
  }

  /** Of the thread or process. */
  get id(): number {
    return this.slots[0]?.host?.id ?? -1;
  }

  get isShared(): boolean {
    return this.slots.length > 1;
  }

  /** Starts it. If it can't be started, or is not ready in time, `exited` of the listener says why. */
  start(startHost: StartHost, options: HostOptions, listener: HostListener): void {
    const exited = (exit: Exit) => listener.exited(this.cause === undefined ? exit : { ...exit, cause: this.cause });
    this.#startTimer = new Timer(longestStartMs, () => {
      this.cause = new Error(`it was not ready after ${longestStartMs / 1_000} s`);
      this.end();
    });
    try {
      const started = startHost(options, { ...listener, exited });
      for (const [index, slot] of this.slots.entries()) slot.host = started[index];
    } catch (cause) {
      exited({ exitCode: undefined, signal: undefined, cause });
    }
  }

  /** It is ready, or has exited. */
  endStart(): void {
    this.#startTimer?.cancel();
  }

  /** Asks it to clean up, and to end. It is killed after the grace time. */
  close(graceMs: number): void {
    this.slots[0]?.host?.post({ kind: 'end' }, []);
    const timer = new Timer(graceMs, () => this.end());
    void this.exited.promise.then(() => timer.cancel());
  }

  /** Kills it. */
  end(): void {
    this.slots[0]?.host?.end();
  }
}
