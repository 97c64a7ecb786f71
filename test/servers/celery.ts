/** A real worker of Celery for a test, with the tasks of test/fixtures/celery/proj.py. */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binary } from './binaries.ts';
import { Server } from './server.ts';

const run = promisify(execFile);
/** The one that sees the packages of the system, wherever others are. */
const interpreter = '/usr/bin/python3';
const celery = [interpreter, '-m', 'celery'] as const;
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
  /** Of its own command line, after all others. */
  readonly args?: readonly string[];
}

/** Resolves when it takes tasks; rejects where Celery is not installed. */
export async function startCelery({
  broker,
  backend = broker,
  queues = ['celery'],
  pool = 'prefork',
  concurrency = 2,
  name = 'python@test',
  visibilityTimeout = 3_600,
  args = [],
}: CeleryWorkerOptions): Promise<Server> {
  binary('celery'); // it is installed
  let isLoggedUpTo = 0;
  return Server.start({
    name: 'celery',
    url: () => broker,
    prepare: (folder) => copyFile(app, join(folder, 'proj.py')),
    command: (folder) => {
      isLoggedUpTo = statSync(join(folder, 'log'), { throwIfNoEntry: false })?.size ?? 0;
      return [
        'env',
        `VISIBILITY_TIMEOUT=${visibilityTimeout}`,
        'PYTHONDONTWRITEBYTECODE=1',
        ...celery,
        ...appArgs(broker, backend),
        'worker',
        '--loglevel=INFO',
        '--without-gossip',
        '--without-mingle',
        `--pool=${pool}`,
        `--concurrency=${concurrency}`,
        `--queues=${queues.join(',')}`,
        `--hostname=${name}`,
        ...args,
      ];
    },
    isReady: async (_, folder) => {
      const log = await readFile(join(folder, 'log'));
      return log.subarray(isLoggedUpTo).toString().includes(`${name} ready`);
    },
  });
}

function appArgs(broker: string, backend = broker): string[] {
  return ['-A', 'proj', '--broker', broker, '--result-backend', backend];
}

/** A folder with the Python program, and the URL of its broker and result backend: that of a worker, or one of its own. */
type CeleryProject = Pick<Server, 'folder' | 'url'> & AsyncDisposable;

/** A Python program without a worker. */
export async function celeryProject(broker: string): Promise<CeleryProject> {
  const folder = await mkdtemp(join(tmpdir(), 'taskwarden-proj-'));
  await copyFile(app, join(folder, 'proj.py'));
  return { folder, url: broker, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

/** What the command `celery` prints, as a program of the project. */
export async function celeryCommand(project: CeleryProject, ...args: readonly string[]): Promise<string> {
  const [file, ...first] = celery;
  const { stdout } = await run(file, [...first, ...appArgs(project.url), ...args], { cwd: project.folder });
  return stdout;
}

/** What a Python program prints that can import `proj` and has its app configured. */
export async function python(project: CeleryProject, program: string): Promise<string> {
  const setUp = [
    'from proj import app',
    `app.conf.broker_url = app.conf.result_backend = ${JSON.stringify(project.url)}`,
    'import proj, json',
  ];
  const options = { cwd: project.folder, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } };
  const { stdout } = await run(interpreter, ['-c', `${setUp.join('\n')}\n${program}`], options);
  return stdout;
}

/** The lines that tasks of a worker have noted: what really ran. */
export async function diaryOf(worker: Server): Promise<string[]> {
  const text = await readFile(join(worker.folder, 'diary'), 'utf8').catch(() => '');
  return text.split('\n').filter((line) => line !== '');
}
