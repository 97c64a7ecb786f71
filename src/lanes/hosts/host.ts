/** What a lane's tasks run in, a thread or a child process, and nothing about how it is made. */
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
}

export interface Host {
  /** Of the thread, or of the process. */
  readonly id: number;
  readonly control: ControlBlock;
  /** Throws if something in the message can't be cloned; then nothing was sent. Asking to stop shows in the memory, too. */
  post(message: HostMessage, transfer: readonly Transferable[]): void;
  /**
   * Where the memory is not shared, but a copy: nothing can be withdrawn there. Asks for all items from that one on; a
   * reply says which will never begin.
   */
  recall?(from: number): void;
  /** By force. `exited` follows. */
  end(): void;
}

/** The last word of a host that dies is for the host alone: it comes back as the cause of the exit. */
export type LaneReply = Exclude<HostReply, { kind: 'crash' }>;

export interface HostListener {
  /** Once, when it can be posted to. */
  up(): void;
  reply(reply: LaneReply): void;
  /** An answer came that can't be read, such as one with a buffer that was handed over before. */
  unreadable(error: unknown): void;
  /** Once, after all it had said; also if it was never up. */
  exited(exit: Exit): void;
}

/**
 * Whatever reads what a host has sent goes through here: the host runs code that is not ours, so what comes may be
 * anything, and is never to end this process.
 * @param fail Ends the host, with the problem as the cause.
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

/** Throws if the options are none that a host takes. */
export type StartHost = (options: HostOptions, listener: HostListener) => Host;
