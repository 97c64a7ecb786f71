/** The contract of a host: a thread or a child process in which tasks run. */
import type { ResourceLimits } from 'node:worker_threads';
import type { Exit } from '../../base/exit.ts';
import { messageOf } from '../../base/foreign-value.ts';
import type { Transferable } from '../../task/inside/transferred.ts';
import type { ControlBlock } from '../wire/control-block.ts';
import type { HostMessage, HostReply } from '../wire/protocol.ts';

/** What a host is started with; see `new Worker()` of node:worker_threads, and `fork()` of node:child_process. */
export interface HostOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly execArgv?: string[];
  readonly resourceLimits?: ResourceLimits;
  readonly recycle?: { readonly maxHeapMb?: number };
  /** How much lower than that of the program its system priority is: a nice value. */
  readonly nice?: number;
  /** How many tasks run in a thread at the same time: it has so many slots. Default: 1. */
  readonly concurrentTasks?: number;
}

/** A slot of a thread or child, in which one task runs at a time. Most have only one. */
export interface Host {
  /** Of the thread, or of the process. */
  readonly id: number;
  readonly control: ControlBlock;
  /** Throws if something in the message can't be cloned; then nothing was sent. A stop also sets the flag in the control block. */
  post(message: HostMessage, transfer: readonly Transferable[]): void;
  /**
   * Only where the control block is a copy, so that nothing can be withdrawn in it. Asks for all items from that one on, and
   * before `end`; the reply tells which will never begin.
   */
  recall?(from: number, end: number): void;
  /**
   * Only where the control block is a copy: its `withdraw()` for an item that was sent ahead. The copy tells the same from then
   * on. Absent if nothing can be sent ahead.
   */
  readonly takeBack?: ((item: number) => boolean) | undefined;
  /** Only where the control block is a copy: what the host has begun without a message is in it from now on. */
  refresh?(): void;
  /** Kills the thread or child, with all its slots. `exited` follows. */
  end(): void;
}

/** The `crash` reply is handled by the host itself: it becomes the cause of the exit. */
export type LaneReply = Exclude<HostReply, { kind: 'crash' }>;

/** Of all slots; `slot` is 0 for the first one, and where it is not given. */
export interface HostListener {
  /** Once, when it can be posted to. */
  up(): void;
  reply(reply: LaneReply, slot?: number): void;
  /** A reply has arrived that can't be read, such as one with a buffer that was transferred before. */
  unreadable(error: unknown, slot?: number): void;
  /** Once, after all its replies; also if it was never up. */
  exited(exit: Exit): void;
}

/**
 * Guards the functions that read what a host has sent. A host runs code of users, so it may send anything, which must never
 * end this process.
 * @param fail Kills the host, with the problem as the cause.
 */
export function guarded<A extends readonly unknown[]>(
  read: (...args: A) => void,
  fail: (cause: Error) => void,
): (...args: A) => void {
  let hasFailed = false;
  return (...args) => {
    if (hasFailed) return;
    try {
      read(...args);
    } catch (cause) {
      hasFailed = true;
      fail(new Error(`what it sent can't be taken: ${messageOf(cause)}`, { cause }));
    }
  };
}

/** Returns the slots of a new thread or child. Throws if that does not accept the options. */
export type StartHost = (options: HostOptions, listener: HostListener) => readonly Host[];
