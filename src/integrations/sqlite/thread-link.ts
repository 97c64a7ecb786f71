/**
 * The courier's side of its thread, which has the database. The thread starts at the first call. Calls of one turn go together.
 * It keeps the process alive while a call is not answered, and never when all are.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { courierKit } from '../../index.ts';
import type { DriverName } from './driver.ts';
import type { CallName, Failure, FromThread, Notice, StoreCalls, StoreSettings, ToThread } from './protocol.ts';
import { type Asked, refusalOf } from './refusals.ts';

const { courierClosed, onAbort, Timer } = courierKit;

/** How long the thread is waited for that has to say whether a wait that is over has got something, in milliseconds. */
const graceMs = 500;
/** The same, for its end. */
const closeMs = 2_000;

const threadProgram = new URL('./thread.js', import.meta.url);

/** @throws Error if the program was bundled without it. */
export function checkThread(): void {
  if (existsSync(threadProgram)) return;
  throw new Error(
    `taskwarden was bundled into the program, without what the thread of SqliteTaskCourier runs (${fileURLToPath(threadProgram)}): ` +
      "leave it out of the bundle, by external: ['taskwarden'] (esbuild, Rollup), ssr.external (Vite) or externals (webpack), " +
      'and install it beside the program',
  );
}

interface WaitParts<R> {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** What it gives when the time is over. */
  readonly onTimeout?: () => R;
  /** Gets what comes after the wait has ended. */
  readonly onLate?: (value: R) => void;
}

interface Open {
  readonly resolve: (value: unknown) => void;
  readonly fail: (failure: Failure) => void;
  readonly reject: (error: unknown) => void;
}

export class ThreadLink {
  readonly settings: StoreSettings;
  readonly #driver: DriverName;
  readonly #onNotice: (notice: Notice) => void;
  readonly #onRestart: () => void;
  readonly #open = new Map<number, Open>();
  #worker: Worker | undefined;
  #outbox: ToThread[] = [];
  #calls = 0;
  #holds = 0;
  readonly #end = new AbortController();
  #hasDied = false;

  /** @param onRestart Is called when the thread has died, and another one was started: that knows of no listener. */
  constructor(
    settings: StoreSettings,
    driver: DriverName,
    parts: { readonly onNotice: (notice: Notice) => void; readonly onRestart: () => void },
  ) {
    this.settings = settings;
    this.#driver = driver;
    this.#onNotice = parts.onNotice;
    this.#onRestart = parts.onRestart;
  }

  get isClosed(): boolean {
    return this.#end.signal.aborted;
  }

  /** Aborts when the courier is closed. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  refuseIfClosed(): void {
    if (this.isClosed) throw courierClosed();
  }

  #start(): Worker {
    const worker = new Worker(threadProgram, {
      workerData: { settings: this.settings, driver: this.#driver },
      execArgv: [],
      name: 'taskwarden/sqlite',
    });
    worker.on('message', (message: FromThread) => this.#receive(message));
    worker.on('error', (error) => this.#onDeath(worker, error));
    worker.on('exit', () => this.#onDeath(worker, new Error('the thread that has the database has ended')));
    if (this.#holds === 0) worker.unref();
    return worker;
  }

  #onDeath(worker: Worker, cause: Error): void {
    if (this.#worker !== worker || this.isClosed) return;
    this.#worker = undefined;
    this.#hasDied = true;
    this.#failAll(cause);
  }

  #failAll(error: unknown): void {
    const message = courierKit.messageOf(error);
    const failure: Failure = { code: 'unreachable', message, cause: { message, code: undefined } };
    for (const open of [...this.#open.values()]) open.fail(failure);
  }

  /** Keeps the process alive, until `release()`. */
  hold(): void {
    this.#holds += 1;
    if (this.#holds === 1) this.#worker?.ref();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds === 0) this.#worker?.unref();
  }

  #send(message: ToThread): void {
    this.#outbox.push(message);
    if (this.#outbox.length === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const messages = this.#outbox;
    this.#outbox = [];
    if (this.isClosed) return;
    try {
      this.#worker ??= this.#start();
    } catch (error) {
      this.#failAll(error); // Node was told to allow no threads
      return;
    }
    if (this.#hasDied) queueMicrotask(this.#onRestart);
    this.#hasDied = false;
    try {
      this.#worker.postMessage(messages);
    } catch {
      this.#sendEach(this.#worker, messages);
    }
  }

  /** One that can't be copied is refused alone. */
  #sendEach(worker: Worker, messages: readonly ToThread[]): void {
    for (const message of messages) {
      try {
        worker.postMessage([message]);
      } catch (error) {
        if ('n' in message) this.#open.get(message.n)?.reject(error);
      }
    }
  }

  #receive({ notices, replies }: FromThread): void {
    if (this.isClosed) return;
    for (const notice of notices) this.#onNotice(notice);
    for (const reply of replies) {
      const open = this.#open.get(reply.n);
      if ('failure' in reply) open?.fail(reply.failure);
      else open?.resolve(reply.value);
    }
  }

  /**
   * Rejects with what the store refuses, with `COURIER_UNREACHABLE` or `DATABASE_UNUSABLE`, and with `COURIER_CLOSED`.
   * @param queue The first argument of the call.
   */
  call<Name extends CallName>(
    name: Name,
    [queue, ...args]: Parameters<StoreCalls[Name]>,
    asked: Asked,
    wait: WaitParts<ReturnType<StoreCalls[Name]>> = {},
  ): Promise<ReturnType<StoreCalls[Name]>> {
    type R = ReturnType<StoreCalls[Name]>;
    this.refuseIfClosed();
    const { signal, timeoutMs, onTimeout, onLate } = wait;
    this.#calls += 1;
    const n = this.#calls;
    return new Promise<R>((resolve, reject) => {
      let timer: courierKit.Timer | undefined;
      let isTimedOut = false;
      const leave = () => {
        timer?.cancel();
        unlisten?.();
        this.release();
      };
      const settle = (end: () => void) => {
        leave();
        this.#open.delete(n);
        end();
      };
      const giveUp = (end: () => void) => {
        leave();
        this.#open.set(n, {
          resolve: (value) => {
            this.#open.delete(n);
            onLate?.(value as R);
          },
          fail: () => this.#open.delete(n),
          reject: () => {},
        });
        end();
      };
      const endByTime = () => {
        try {
          resolve((onTimeout as () => R)());
        } catch (error) {
          reject(error);
        }
      };
      this.#open.set(n, {
        resolve: (value) => settle(() => resolve(value as R)),
        fail: (failure) =>
          settle(() => {
            if (failure.code === 'over' && isTimedOut) endByTime();
            else reject(this.#errorOf(failure, String(queue), asked));
          }),
        reject: (error) => settle(() => reject(error)),
      });
      this.hold();
      const unlisten =
        signal &&
        onAbort(signal, () => {
          this.#send({ cancel: n });
          giveUp(() => reject(signal.reason));
        });
      if (timeoutMs !== undefined && timeoutMs !== Infinity) {
        timer = new Timer(timeoutMs, () => {
          isTimedOut = true;
          this.#send({ cancel: n });
          timer = new Timer(graceMs, () => giveUp(endByTime));
        });
      }
      this.#send({ call: name, n, args: [queue, ...args] });
    });
  }

  #errorOf(failure: Failure, queue: string, asked: Asked): Error {
    return refusalOf(failure, queue, this.settings, asked);
  }

  /** Does not wait for a thread that waits for a lock. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.#outbox = [];
    this.#end.abort();
    for (const open of [...this.#open.values()]) open.reject(courierClosed());
    this.#open.clear();
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.ref();
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => resolve());
      new Timer(closeMs, () => {
        worker.unref();
        resolve();
      });
    });
    worker.postMessage([{ close: true } satisfies ToThread]);
    await ended;
  }
}
