/**
 * The guard of a child: a thread that reads what concerns tasks that may run already, also while the main thread is busy. It
 * marks items as stopped or withdrawn in the memory that it shares with the main thread, forwards everything else, and ends
 * the child when the lane is gone.
 */
import { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../src/lanes/wire/control-block.ts';
import {
  type Frame,
  FrameReader,
  frame,
  guardPipe,
  type Recalled,
  serialize,
  timeAt,
} from '../src/lanes/wire/frames.ts';
import { setTimeout } from '../src/platform/globals.ts';

export interface GuardStart {
  readonly port: MessagePort;
  /** Of each slot. */
  readonly controls: readonly SharedArrayBuffer[];
}

/** What the guard forwards: the body of a frame, and the slot that it is for. */
export interface Forwarded {
  readonly slot: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** How long a child whose lane is gone may take to end by itself, in milliseconds. */
const lastMs = 500;

export class Guard {
  readonly #port: MessagePort;
  readonly #controls: readonly ControlBlock[];
  readonly #socket = new Socket({ fd: guardPipe });

  constructor({ port, controls }: GuardStart) {
    this.#port = port;
    this.#controls = controls.map((control) => new ControlBlock(control));
  }

  watch(): void {
    const reader = new FrameReader();
    this.#socket.on('data', (chunk) => {
      for (const each of reader.push(chunk)) this.#receive(each);
    });
    this.#socket.on('error', () => {}); // 'close' follows
    this.#socket.on('close', () => void setTimeout(() => process.kill(process.pid, 'SIGKILL'), lastMs));
  }

  #receive({ kind, slot, number, body }: Frame): void {
    const control = this.#controls[slot] as ControlBlock;
    if (kind === 'recall') {
      this.#recall(slot, number, timeAt(body, 0), timeAt(body, 1));
      return;
    }
    if (kind === 'cancel' && control.withdraw(number)) {
      this.#answer(slot, number, { items: [number] });
      return;
    }
    // Forwarded before the stop flag is set, so that the message is there when the flag is seen.
    const copy = Uint8Array.prototype.slice.call(body) as Uint8Array<ArrayBuffer>;
    const forwarded: Forwarded = { slot, body: copy };
    this.#port.postMessage(forwarded, [copy.buffer]);
    if (kind === 'stop' || kind === 'cancel') control.requestStop(number);
    control.ring();
  }

  /** Of the items from `first` to before `end`, gives back those after `from` that have not begun. */
  #recall(slot: number, from: number, first: number, end: number): void {
    const control = this.#controls[slot] as ControlBlock;
    const items: number[] = [];
    // From the last to the first, because the main thread may begin items meanwhile: so none overtakes an earlier one.
    for (let item = end - 1; item >= from; item -= 1) if (control.withdraw(item)) items.unshift(item);
    let running = end - 1;
    while (running >= first && control.state(running) !== 'running') running -= 1;
    const at = running >= first && { running: { item: running, at: control.begunAt(running) } };
    this.#answer(slot, first, { items, ...at });
  }

  #answer(slot: number, number: number, answer: Recalled): void {
    for (const part of frame('recalled', number, serialize(answer), slot)) this.#socket.write(part);
  }
}
