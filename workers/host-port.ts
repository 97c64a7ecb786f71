/** How the runtime of a thread or child reaches its lane. */
import type { ControlBlock } from '../src/lanes/wire/control-block.ts';
import type { HostReply } from '../src/lanes/wire/protocol.ts';
import type { Transferable } from '../src/task/inside/transferred.ts';

export interface HostPort {
  readonly post: (reply: HostReply, transfer?: readonly Transferable[]) => void;
  readonly control: ControlBlock;
  /** Returns a value as the lane reads it. Throws if it can't be written, or read. */
  readonly readBack: (value: unknown) => unknown;
  /** Handles the next posted message, though the thread is busy. Returns false if there is none. */
  readonly poll: () => boolean;
  /** See `HostStart`. */
  readonly idPrefix: string;
  readonly batchMs: number;
  readonly maxHeapMb: number;
}
