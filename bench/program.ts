/** Programs of the bench: modules whose `run` is called in a process of its own, which ends with the one that started it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What comes back of a call. */
type Reply<Result> = { readonly value: Result } | { readonly error: string };

const starter = fileURLToPath(new URL('./program-process.mjs', import.meta.url));

/** Calls are made one at a time. Between them the process waits, with what it has opened. */
export class Program<Result> {
  readonly #module: URL;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(module: URL, ...args: readonly string[]) {
    this.#module = module;
    this.#args = args;
  }

  /** The first call starts the process. Rejects with the message of what `run` has thrown. */
  async run(): Promise<Result> {
    this.#child ??= startProgram(this.#module, this.#args);
    const ended = new AbortController();
    const exit = once(this.#child, 'exit', { signal: ended.signal });
    const message = once(this.#child, 'message', { signal: ended.signal });
    this.#child.send('run');
    try {
      const [first, signal] = await Promise.race([message, exit]);
      if (typeof first !== 'object' || first === null) throw new Error(`${this} ended with ${signal ?? first}`);
      const reply = first as Reply<Result>;
      if ('error' in reply) throw new Error(reply.error);
      return reply.value;
    } finally {
      ended.abort();
      await Promise.allSettled([exit, message]);
    }
  }

  /** Ends the process, whatever it does. */
  close(): Promise<void> {
    return this.#end((child) => child.kill('SIGKILL'));
  }

  /** Lets the process end itself, which takes what it has started with it. */
  interrupt(): Promise<void> {
    return this.#end((child) => child.connected && child.disconnect());
  }

  async #end(end: (child: ChildProcess) => unknown): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    end(child);
    await exit;
  }

  toString(): string {
    return [fileURLToPath(this.#module), ...this.#args].join(' ');
  }
}

/** One call in a new process. */
export async function apart<Result>(module: URL, ...args: readonly string[]): Promise<Result> {
  const program = new Program<Result>(module, ...args);
  try {
    return await program.run();
  } finally {
    await program.close();
  }
}

/**
 * On a heap that can be collected at will and is large enough for a million tasks of any library. Modules in plain
 * JavaScript run without a loader, as users' programs do.
 */
function startProgram(module: URL, args: readonly string[]): ChildProcess {
  const loader = module.pathname.endsWith('.ts') ? ['--import', 'tsx'] : [];
  const execArgv = ['--expose-gc', '--max-old-space-size=8192', ...loader];
  return fork(starter, [module.href, ...args], { execArgv });
}
