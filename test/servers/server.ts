/**
 * A real server in a new temporary folder and on a port of its own, which a test can kill, start again and hold. It ends
 * with the process that started it, however that ends, and its folder goes too. It needs /proc: the processes of a server
 * are those that work in its folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, open, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './port.ts';

const pollMs = 10;
const startMs = 30_000;

/** Ends when its input does, and then ends all that works in the folder, `$0`, and removes that. */
const watchdog = `
cat >/dev/null
for again in 1 2 3; do
  for cwd in /proc/[0-9]*/cwd; do
    case "$(readlink "$cwd")" in "$0" | "$0"/*) pid=\${cwd#/proc/}; kill -KILL "\${pid%/cwd}" ;; esac
  done
done
rm -rf "$0"`;

/** What one kind of server is. */
export interface ServerKind {
  readonly name: string;
  /** The user that it runs as, if that is not the one of this process. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Of the fast end; without one it is killed. */
  readonly stopSignal?: NodeJS.Signals;
  url(port: number): string;
  /** Once, in the new folder. */
  prepare?(folder: string): Promise<void>;
  command(folder: string, port: number): readonly [file: string, ...args: string[]];
  /** Whether it answers, and is the one of this folder: another may have taken the port. An error means not yet. */
  isReady(port: number, folder: string): Promise<boolean>;
}

export class Server implements AsyncDisposable {
  readonly folder: string;
  readonly #kind: ServerKind;
  readonly #watchdog: ChildProcess;
  #port: number;
  #child: ChildProcess | undefined;
  #isStopped = false;

  private constructor(kind: ServerKind, folder: string, port: number) {
    this.#kind = kind;
    this.folder = folder;
    this.#port = port;
    // A group of its own: Ctrl-C is for the tests, and it has its work to do after that.
    this.#watchdog = spawn('sh', ['-c', watchdog, folder], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#watchdog.unref();
  }

  /** Resolves when the server answers. */
  static async start(kind: ServerKind, port?: number): Promise<Server> {
    const folder = await mkdtemp(join(await realpath(tmpdir()), `taskwarden-${kind.name}-`));
    const server = new Server(kind, folder, port ?? (await freePort()));
    try {
      if (kind.user !== undefined) await chown(folder, kind.user.uid, kind.user.gid);
      await chmod(folder, 0o700);
      await kind.prepare?.(folder);
      // Somebody else may have taken the port meanwhile.
      for (let triesLeft = port === undefined ? 3 : 1; ; triesLeft -= 1) {
        try {
          await server.#run();
          return server;
        } catch (error) {
          if (triesLeft <= 1) throw error;
          await server.kill();
          server.#port = await freePort();
        }
      }
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return this.#kind.url(this.#port);
  }

  async #run(): Promise<void> {
    const [file, ...args] = this.#kind.command(this.folder, this.#port);
    const log = join(this.folder, 'log');
    const output = await open(log, 'a');
    const child = spawn(file, args, {
      cwd: this.folder,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      ...this.#kind.user,
    });
    this.#child = child;
    child.unref();
    const failed = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code}`));
    });
    await output.close();
    const problem = await Promise.race([failed, this.#ready(child)]);
    if (problem === undefined) return;
    const said = (await readFile(log, 'utf8')).trim().split('\n').slice(-10).join('\n');
    throw new Error(`${this.#kind.name} did not start: ${problem}\n${said}`);
  }

  async #ready(child: ChildProcess): Promise<string | undefined> {
    const end = performance.now() + startMs;
    while (child.exitCode === null && child.signalCode === null) {
      if (await this.#kind.isReady(this.#port, this.folder).catch(() => false)) return undefined;
      if (performance.now() > end) return `it gave no answer within ${startMs} ms`;
      await setTimeout(pollMs);
    }
    return 'it ended';
  }

  /** SIGKILL to all of it; resolves when all are gone. */
  async kill(): Promise<void> {
    while ((await this.#signal('SIGKILL')) > 0) await setTimeout(pollMs);
  }

  /** On the same port and folder; it is killed first if it runs. */
  async restart(): Promise<void> {
    if (this.#isStopped) throw new Error(`${this.#kind.name} was stopped: its folder is gone`);
    await this.kill();
    await this.#run();
  }

  /** It keeps its connections, and answers nothing until `resume()`. */
  async pause(): Promise<void> {
    await this.#signal('SIGSTOP');
  }

  async resume(): Promise<void> {
    await this.#signal('SIGCONT');
  }

  /** Ends it and removes its folder. A second call changes nothing. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { stopSignal } = this.#kind;
    const child = this.#child;
    if (stopSignal !== undefined && child !== undefined && child.exitCode === null && child.signalCode === null) {
      await this.resume();
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill(stopSignal);
      await Promise.race([exited, setTimeout(5_000, undefined, { ref: false })]);
    }
    await this.kill();
    if (this.#watchdog.kill('SIGKILL')) {
      this.#watchdog.ref();
      await once(this.#watchdog, 'exit');
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Gives how many there were. */
  async #signal(signal: NodeJS.Signals): Promise<number> {
    const pids = await pidsIn(this.folder);
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it is gone already
      }
    }
    return pids.length;
  }
}

/** The processes whose working folder is this one, or in it. */
async function pidsIn(folder: string): Promise<number[]> {
  const entries = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    entries.map(async (pid) => {
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => ''); // gone, or not ours
      return cwd === folder || cwd.startsWith(folder + sep) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}
