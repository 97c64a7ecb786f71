/** A real worker of Celery for a test, with the tasks of test/fixtures/celery/proj.py. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { binary } from './binaries.ts';
import { Server } from './server.ts';

const run = promisify(execFile);
/** The one that sees the packages of the system, wherever others are. */
const interpreter = '/usr/bin/python3';
const app = join(import.meta.dirname, '../fixtures/celery/proj.py');

export interface CeleryWorkerOptions {
  /** The URL of a Redis. */
  readonly broker: string;
  /** Default: the broker. */
  readonly backend?: string;
  /** Default: `celery`. */
  readonly queues?: readonly string[];
  /** How it runs tasks. Default: `prefork`: processes, which alone can end tasks; `solo` is the cheapest. */
  readonly pool?: 'prefork' | 'solo' | 'threads';
  /** Default: 2. */
  readonly concurrency?: number;
  /** Default: `python@test`. */
  readonly name?: string;
  /** Kombu's visibility timeout, in seconds. Default: 3,600. */
  readonly visibilityTimeout?: number;
  /** Whether all tasks are acknowledged when they have ended. Default: false. */
  readonly acksLate?: boolean;
  /** How many messages it takes for each task that it can run. Default: 1. */
  readonly prefetchMultiplier?: number;
}

/** Starts the worker as the command does: to load that, with all its other commands, takes as long as all the rest. */
const workerOf = (options: object) => `
app.Worker(**json.loads(${JSON.stringify(JSON.stringify(options))}), without_gossip=True, without_mingle=True).start()`;

/** Resolves when it takes tasks; rejects where Celery is not installed. */
export async function startCelery({
  broker,
  backend = broker,
  queues = ['celery'],
  pool = 'prefork',
  concurrency = 2,
  name = 'python@test',
  visibilityTimeout = 3_600,
  acksLate = false,
  prefetchMultiplier = 1,
}: CeleryWorkerOptions): Promise<Server> {
  binary('celery'); // it is installed
  let isLoggedUpTo = 0;
  const options = {
    hostname: name,
    queues,
    concurrency,
    pool_cls: pool,
    prefetch_multiplier: prefetchMultiplier,
    loglevel: 'INFO',
  };
  const program = `${setUpOf(broker, backend)}${workerOf(options)}`;
  return Server.start({
    name: 'celery',
    url: () => broker,
    prepare: (folder) => copyFile(app, join(folder, 'proj.py')),
    command: (folder) => {
      isLoggedUpTo = statSync(join(folder, 'log'), { throwIfNoEntry: false })?.size ?? 0;
      return [
        'env',
        `VISIBILITY_TIMEOUT=${visibilityTimeout}`,
        ...(acksLate ? ['ACKS_LATE=1'] : []),
        'PYTHONDONTWRITEBYTECODE=1',
        interpreter,
        '-c',
        program,
      ];
    },
    isReady: async (_, folder) => {
      const log = await readFile(join(folder, 'log'));
      return log.subarray(isLoggedUpTo).toString().includes(`${name} ready`);
    },
  });
}

/** A folder with the Python program, and the URL of its broker and result backend: that of a worker, or one of its own. */
export type CeleryProject = Pick<Server, 'folder' | 'url'> & AsyncDisposable;

/** A Python program without a worker. */
export async function celeryProject(broker: string): Promise<CeleryProject> {
  const folder = await mkdtemp(join(tmpdir(), 'taskwarden-proj-'));
  await copyFile(app, join(folder, 'proj.py'));
  return { folder, url: broker, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** What all programs begin with: `app` with its broker and result backend, `proj` and `json`. */
function setUpOf(broker: string, backend = broker): string {
  return [
    'from proj import app',
    `app.conf.broker_url, app.conf.result_backend = ${JSON.stringify([broker, backend])}`,
    'import proj, json',
  ].join('\n');
}

/** The command `celery`, which goes on until it is ended. */
export function startCeleryCommand({ folder, url }: CeleryProject, ...args: readonly string[]): ChildProcess {
  const all = ['-m', 'celery', '-A', 'proj', '--broker', url, '--result-backend', url, ...args];
  const env = { ...process.env, PYTHONUNBUFFERED: '1', PYTHONDONTWRITEBYTECODE: '1' };
  return spawn(interpreter, all, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
}

/** What a Python program prints that can import `proj` and has its app configured. */
export async function python(project: CeleryProject, program: string): Promise<string> {
  const options = { cwd: project.folder, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } };
  const { stdout } = await run(interpreter, ['-c', `${setUpOf(project.url)}\n${program}`], options);
  return stdout;
}

/** The lines that tasks of a worker have noted: what really ran. */
export async function diaryOf(worker: Server): Promise<string[]> {
  const text = await readFile(join(worker.folder, 'diary'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}

/**
 * What a `PythonProgram` evaluates with: `outcome(result)` gives what `get()` gives, or raises; `soon(s)` is a time;
 * `command(...)` gives what Celery's own command prints, which is run here: a program of its own would first load it.
 */
const evaluator = `
import sys, traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from celery import chain, chord, group, signature
from celery.exceptions import CeleryError

def soon(seconds):
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)

def outcome(result, timeout=30):
    try:
        return result.get(timeout=timeout)
    except Exception as error:
        return {'error': type(error).__name__, 'message': ', '.join(map(str, error.args)), 'traceback': result.traceback}

def command(*args):
    from celery.bin.celery import celery
    from click.testing import CliRunner
    with one_command:
        ended = CliRunner().invoke(celery, ['-A', 'proj', *args])
    if ended.exit_code != 0:
        raise Exception(f'the command ended with {ended.exit_code}: {ended.output}')
    return ended.output

def talk(result):
    """Sends to a task, hears what it says, and asks it to finish."""
    heard = []
    def tell(method, **arguments):
        app.control.broadcast(method, arguments={'task_id': result.id, **arguments}, pattern='taskwarden*', matcher='glob')
    def listen(meta):
        if meta['status'] == 'MESSAGE':
            heard.append(meta['result']['heard'])
            tell('stop_task')
    tell('send_to_task', data='hello from Python')
    while not heard and not result.ready():
        try:
            result.get(timeout=0.5, on_message=listen)
        except Exception:
            tell('send_to_task', data='hello from Python')
    return [heard[:1], result.get(timeout=20)]

def answer(line):
    number, program = json.loads(line)
    try:
        reply = [number, 'value', eval(program)]
        text = json.dumps(reply)
    except Exception:
        text = json.dumps([number, 'error', traceback.format_exc()])
    with lock:
        print(text, file=stdout, flush=True)

import threading
lock, one_command = threading.Lock(), threading.Lock()
stdout = sys.stdout # a command is given another one
with ThreadPoolExecutor(16) as pool:
    for line in sys.stdin:
        pool.submit(answer, line)
`;

interface Evaluation {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A running program of a project, which has `app` and `proj`, and evaluates what it is told. */
export class PythonProgram implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Evaluation>();
  #count = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new TypeError('its output is not read');
    createInterface(child.stdout).on('line', (line) => {
      const [number, kind, value] = JSON.parse(line) as [number, string, unknown];
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (kind === 'value') waiting?.resolve(value);
      else waiting?.reject(new Error(String(value)));
    });
    child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`Python has ended with ${code}`));
    });
  }

  /** Resolves when it answers. */
  static async start(project: CeleryProject): Promise<PythonProgram> {
    const program = `${setUpOf(project.url)}\n${evaluator}`;
    const child = spawn(interpreter, ['-c', program], {
      cwd: project.folder,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const started = new PythonProgram(child);
    await started.evaluate('None');
    return started;
  }

  /** The value of an expression, as JSON has it. Expressions may run at once. */
  evaluate(expression: string): Promise<unknown> {
    this.#count += 1;
    const number = this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify([number, expression])}\n`);
    });
  }

  /** What the command `celery` prints; rejects if it fails. */
  async command(...args: readonly string[]): Promise<string> {
    return String(await this.evaluate(`command(*${JSON.stringify(args)})`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
