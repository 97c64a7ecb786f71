/**
 * One thread. Piscina starts it with its environment and limits, and ends it. Each thread has a pool of its own, so pool and
 * thread end together. Tasks don't go through Piscina's `run`, but over a message port, which keeps the order of progress,
 * results and the last messages of a thread.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { hostProgram, requireLate } from '../../platform/package-files.ts';
import { batchMs } from '../../queue/run-time-estimate.ts';
import type { Transferable } from '../../task/inside/transferred.ts';
import { guarded, type Host, type HostListener, type HostOptions } from '../hosts/host.ts';
import { forwardOutput } from '../process/printed-output.ts';
import { ControlBlock } from '../wire/control-block.ts';
import { decodeThrown } from '../wire/error-codec.ts';
import type { HostMessage, HostReply, ThreadStart } from '../wire/protocol.ts';

export class ThreadHost implements Host {
  readonly id: number;
  readonly control: ControlBlock = new ControlBlock();
  readonly #pool: Piscina;
  readonly #port: MessagePort;
  #cause: unknown;

  /** @param ids Read after the thread was started, because making the first prefix loads a slow module. */
  constructor(options: HostOptions, ids: { readonly idPrefix: string }, listener: HostListener) {
    const { env, execArgv, resourceLimits, recycle: { maxHeapMb = Infinity } = {}, nice = 0 } = options;
    const program = hostProgram('thread');
    const { Piscina } = requireLate('piscina') as typeof import('piscina');
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#pool = new Piscina({
      ...(env && { env }),
      ...(execArgv && { execArgv }),
      ...(resourceLimits && { resourceLimits }),
      filename: program,
      name: 'start',
      argv: process.argv.slice(2), // a task module may be the program, and read them as it loads
      minThreads: 1, // it starts here, and `start` need not wait until it is ready
      maxThreads: 1,
      idleTimeout: Infinity,
      atomics: 'disabled', // 'sync' would stop the thread's timers and sockets between tasks
      recordTiming: false,
    });
    this.#pool.on('error', () => {}); // reported by the thread itself, below
    const thread = this.#pool.threads[0] as Worker;
    this.id = thread.threadId;
    const { idPrefix } = ids;
    const start: ThreadStart = { port: port2, control: this.control.buffer, idPrefix, batchMs, maxHeapMb, nice };
    const started = this.#pool.run(start, { transferList: [port2] });
    const fail = (cause: Error) => this.#fail(cause);
    const receive = guarded((reply: HostReply) => this.#receive(reply, listener), fail);
    const onUnreadable = guarded(listener.unreadable, fail);
    port1.on('message', receive);
    port1.on('messageerror', onUnreadable);
    port1.unref(); // a pending task keeps the process alive, a thread does not
    // These listeners run before those of the pool, which would replace the thread.
    thread.prependListener('error', (error) => {
      this.#cause ??= error;
      void this.#pool.destroy();
    });
    thread.prependOnceListener('exit', (exitCode) => {
      void this.#pool.destroy();
      // What it posted before it died may not have been received yet.
      while (readOne(port1, receive, onUnreadable));
      port1.close();
      listener.exited({ exitCode, signal: undefined, cause: this.#cause });
    });
    for (const name of ['stdout', 'stderr'] as const) {
      thread[name].unpipe(process[name]); // Node has piped it there
      forwardOutput(thread[name], name);
    }
    started.then(
      guarded(() => listener.up(), fail),
      () => {}, // it died; 'exit' follows
    );
  }

  /** It has sent something impossible, so nothing that it sends can be trusted. */
  #fail(cause: Error): void {
    this.#cause ??= cause;
    void this.#pool.destroy();
  }

  #receive(reply: HostReply, listener: HostListener): void {
    if (reply.kind === 'crash') this.#cause = decodeThrown(reply.error);
    else listener.reply(reply);
  }

  post(message: HostMessage, transfer: readonly Transferable[]): void {
    this.#port.postMessage(message, transfer);
    // The flag is set after the message, so that the reason is there when the flag is seen.
    if (message.kind === 'stop') this.control.requestStop(message.item);
    if (message.kind === 'stop' || message.kind === 'task-message') this.control.ring();
  }

  end(): void {
    void this.#pool.destroy();
  }
}

/** Receives one message. Returns false if there is none. */
function readOne(
  port: MessagePort,
  receive: (reply: HostReply) => void,
  onUnreadable: (problem: unknown) => void,
): boolean {
  try {
    const received = receiveMessageOnPort(port) as { readonly message: HostReply } | undefined;
    if (received !== undefined) receive(received.message);
    return received !== undefined;
  } catch (problem) {
    onUnreadable(problem); // it is taken from the port all the same
    return true;
  }
}
