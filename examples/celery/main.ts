/**
 * Python and Node with Celery between them, on one machine: starts a Redis, a worker of Celery and a CeleryWorker, sends work
 * both ways, and prints what went where. Exit code 1 if something went wrong.
 *
 *   node --import tsx examples/celery/main.ts
 *
 * Needs redis-server in the PATH, and Python with the packages celery and redis (Debian: apt-get install celery
 * python3-redis). PYTHON is another interpreter than `python3`.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { celeryTask } from 'taskwarden/celery';
import { OwnRedis } from '../cluster/redis.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const python = process.env['PYTHON'] ?? 'python3';
const texts = ['one fish two fish', 'red fish blue fish'];

if (!OwnRedis.isInstalled() || spawnSync(python, ['-c', 'import celery, redis']).status !== 0) {
  console.error('It needs Redis, and Celery for Python: apt-get install redis-server celery python3-redis');
  process.exit(1);
}

const redis = await OwnRedis.start();
const env = { ...process.env, REDIS_URL: redis.url, PYTHONDONTWRITEBYTECODE: '1' };
const children: ChildProcess[] = [];

/** Whoever starts them in a terminal ends all by Ctrl-C; a worker finishes what it runs. */
function endAll(): void {
  for (const child of children) child.kill('SIGTERM');
}
process.once('SIGINT', endAll).once('SIGTERM', endAll);

const options = ['--pool=threads', '--concurrency=2', '--loglevel=WARNING', '--without-gossip', '--without-mingle'];
children.push(
  spawn(python, ['-m', 'celery', '-A', 'proj', 'worker', ...options], { cwd: folder, env, stdio: 'ignore' }),
  fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), { env }),
);
const ended = Promise.all(children.map((child) => once(child, 'exit')));

try {
  const stopped = endOf(ended);
  const words = celeryTask<[text: string], string[]>('py.words', { broker: redis.url, signal: stopped });
  for (const text of texts)
    console.log(`Node asked Python for the words of '${text}': ${(await words(text)).join(' ')}`);

  const program = `from proj import count_in_node; count_in_node(${JSON.stringify(texts)})`;
  const asks = spawn(python, ['-c', program], { cwd: folder, env, stdio: 'inherit', signal: stopped });
  const [code] = await once(asks, 'exit');
  if (code !== 0) throw new Error(`the Python program ended with ${code}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  endAll();
  await ended;
  await redis.stop();
}

/** Aborts when the workers have ended: then nobody answers. */
function endOf(exits: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  void exits.then(() => controller.abort(new Error('the workers have ended')));
  return controller.signal;
}
