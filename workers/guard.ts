/**
 * The guard of a child: a thread that reads what the lane sends, also while the main thread is busy. It marks items as
 * stopped or withdrawn in the memory that it shares with the main thread, forwards everything else, and ends the child when
 * the lane is gone.
 */
import { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../src/lanes/wire/control-block.ts';
import { type Frame, FrameReader, frame, guardPipe, type Recalled, serialize } from '../src/lanes/wire/frames.ts';
import { setTimeout } from '../src/platform/globals.ts';

export interface GuardStart {
  readonly port: MessagePort;
  readonly control: SharedArrayBuffer;
}

/** How long a child whose lane is gone may take to end by itself, in milliseconds. */
const lastMs = 500;

export class Guard {
  readonly #port: MessagePort;
  readonly #control: ControlBlock;
  readonly #socket = new Socket({ fd: guardPipe });
  /** How many items the last batch has. */
  #items = 0;

  constructor({ port, control }: GuardStart) {
    this.#port = port;
    this.#control = new ControlBlock(control);
  }

  watch(): void {
    const reader = new FrameReader();
    this.#socket.on('data', (chunk) => {
      for (const each of reader.push(chunk)) this.#receive(each);
    });
    this.#socket.on('error', () => {}); // 'close' follows
    this.#socket.on('close', () => {
      this.#port.postMessage(null);
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), lastMs);
    });
  }

  #receive({ kind, number, batch, body }: Frame): void {
    switch (kind) {
      case 'run':
        this.#items = number;
        this.#control.reset(number, batch);
        break;
      case 'recall':
        this.#recall(number);
        return;
      case 'cancel':
        if (this.#control.withdraw(number)) {
          this.#answer([number]);
          return;
        }
        break;
      default:
    }
    // Forwarded before the stop flag is set, so that the message is there when the flag is seen.
    const copy = Uint8Array.prototype.slice.call(body);
    this.#port.postMessage(copy, [copy.buffer]);
    if (kind === 'stop' || kind === 'cancel') this.#control.requestStop(number);
    if (kind !== 'run') this.#control.ring();
  }

  #recall(from: number): void {
    const items: number[] = [];
    // From the last to the first, because the main thread may begin items meanwhile: so none overtakes an earlier one.
    for (let item = this.#items - 1; item >= from; item -= 1) {
      if (this.#control.withdraw(item)) items.unshift(item);
    }
    this.#answer(items);
  }

  #answer(items: readonly number[]): void {
    const running = Array.from({ length: this.#items }, (_, item) => item).find(
      (item) => this.#control.state(item) === 'running',
    );
    const answer: Recalled = {
      items,
      ...(running !== undefined && { running: { item: running, at: this.#control.begunAt(running) } }),
    };
    for (const part of frame('recalled', 0, serialize(answer), this.#control.batch)) this.#socket.write(part);
  }
}
