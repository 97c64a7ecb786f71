/**
 * One thread. Piscina starts it with its environment and limits, and ends it. Each thread has a pool of its own, so pool and
 * thread end together. Tasks don't go through Piscina's `run`, but over the message ports of its slots, which keep the
 * order of progress, results and the last messages.
 */
import type { Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { hostProgram, requireLate } from '../../platform/package-files.ts';
import { batchMs } from '../../queue/run-time-estimate.ts';
import { guarded, type HostListener, type HostOptions } from '../hosts/host.ts';
import { forwardOutput } from '../process/printed-output.ts';
import { decodeThrown } from '../wire/error-codec.ts';
import type { HostReply, ThreadStart } from '../wire/protocol.ts';
import { ThreadSlot } from './thread-slot.ts';

export class ThreadHost {
  readonly id: number;
  readonly slots: readonly ThreadSlot[];
  readonly #pool: Piscina;
  #cause: unknown;

  /** @param ids Read after the thread was started, because making the first prefix loads a slow module. */
  constructor(options: HostOptions, ids: { readonly idPrefix: string }, listener: HostListener) {
    const { env, execArgv, resourceLimits, recycle: { maxHeapMb = Infinity } = {} } = options;
    const { nice = 0, concurrentTasks = 1 } = options;
    const program = hostProgram('thread');
    const { Piscina } = requireLate('piscina') as typeof import('piscina');
    this.slots = Array.from({ length: concurrentTasks }, () => new ThreadSlot(this));
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
    const slots = this.slots.map(({ remotePort: port, control: { buffer: control } }) => ({ port, control }));
    const start: ThreadStart = { slots, idPrefix, batchMs, maxHeapMb, nice };
    const started = this.#pool.run(start, { transferList: slots.map(({ port }) => port) });
    const fail = (cause: Error) => this.#fail(cause);
    for (const [index, slot] of this.slots.entries()) {
      slot.listen({
        receive: guarded((reply: HostReply) => this.#receive(reply, index, listener), fail),
        unreadable: guarded((problem: unknown) => listener.unreadable(problem, index), fail),
      });
    }
    // These listeners run before those of the pool, which would replace the thread.
    thread.prependListener('error', (error) => {
      this.#cause ??= error;
      void this.#pool.destroy();
    });
    thread.prependOnceListener('exit', (exitCode) => {
      void this.#pool.destroy();
      for (const slot of this.slots) slot.close();
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

  #receive(reply: HostReply, slot: number, listener: HostListener): void {
    if (reply.kind === 'crash') this.#cause = decodeThrown(reply.error);
    else listener.reply(reply, slot);
  }

  end(): void {
    void this.#pool.destroy();
  }
}
