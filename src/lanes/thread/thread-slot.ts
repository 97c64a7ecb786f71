/** A slot of a thread: its end of a message port, and the memory that it shares with the runtime at the other end. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Transferable } from '../../task/inside/transferred.ts';
import type { Host } from '../hosts/host.ts';
import { ControlBlock } from '../wire/control-block.ts';
import type { HostMessage, HostReply } from '../wire/protocol.ts';

interface Receiver {
  receive(reply: HostReply): void;
  unreadable(problem: unknown): void;
}

export class ThreadSlot implements Host {
  readonly control: ControlBlock = new ControlBlock();
  /** The end of the thread. */
  readonly remotePort: MessagePort;
  readonly #port: MessagePort;
  readonly #thread: { readonly id: number; end(): void };
  #receiver: Receiver | undefined;

  constructor(thread: { readonly id: number; end(): void }) {
    this.#thread = thread;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.remotePort = port2;
  }

  get id(): number {
    return this.#thread.id;
  }

  listen(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#port.on('message', receiver.receive);
    this.#port.on('messageerror', receiver.unreadable);
    this.#port.unref(); // a pending task keeps the process alive, a thread does not
  }

  /** The thread has exited: what it posted before it died may not have been received yet. */
  close(): void {
    while (this.#readOne());
    this.#port.close();
  }

  /** Receives one message. Returns false if there is none. */
  #readOne(): boolean {
    try {
      const received = receiveMessageOnPort(this.#port) as { readonly message: HostReply } | undefined;
      if (received !== undefined) this.#receiver?.receive(received.message);
      return received !== undefined;
    } catch (problem) {
      this.#receiver?.unreadable(problem); // it is taken from the port all the same
      return true;
    }
  }

  post(message: HostMessage, transfer: readonly Transferable[]): void {
    this.#port.postMessage(message, transfer);
    // The flag is set after the message, so that the reason is there when the flag is seen.
    if (message.kind === 'stop') this.control.requestStop(message.item);
    if (message.kind === 'stop' || message.kind === 'task-message') this.control.ring();
  }

  end(): void {
    this.#thread.end();
  }
}
