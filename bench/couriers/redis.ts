/** A Redis for one row of the bench: in memory, on a free port, ended with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';

export interface BenchRedis {
  readonly url: string;
  readonly port: number;
  stop(): Promise<unknown>;
}

/** Resolves when it answers; rejects where it can't be started. */
export async function startRedis(): Promise<BenchRedis> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  server.close();
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', tmpdir(), '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new Error(`redis-server, which has to be in the PATH, can't be started (${(cause as Error).message})`, {
      cause,
    });
  }
  process.once('exit', () => child.kill('SIGKILL'));
  const exit = once(child, 'exit');
  for await (const text of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    if (!(text as string).includes('Ready to accept connections')) continue;
    child.stdout.resume();
    const stop = () => {
      child.kill('SIGKILL');
      return exit;
    };
    return { url: `redis://127.0.0.1:${port}`, port, stop };
  }
  throw new Error('redis-server did not start');
}
