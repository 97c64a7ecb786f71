/** A Redis for this example alone: in memory, on a free port. It ends with the program, however that ends, and leaves nothing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Runs Redis in the folder `$0` until its own input ends, which it does with the program; then removes the folder. */
const script = `
exec 3<&0
redis-server "$@" & pid=$!
(cat <&3 >/dev/null; kill $pid 2>/dev/null) &
wait $pid
rm -rf "$0"`;

export class OwnRedis {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    this.#exit = once(child, 'exit');
  }

  /** Whether there is a `redis-server` in the PATH. */
  static isInstalled(): boolean {
    const folders = (process.env['PATH'] ?? '').split(delimiter);
    return folders.some((folder) => folder !== '' && existsSync(join(folder, 'redis-server')));
  }

  /** Resolves when it answers. */
  static async start(): Promise<OwnRedis> {
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'taskwarden-cluster-'));
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'];
    // A group of its own: Ctrl-C is for the program, whose workers need the Redis until they have ended.
    const child = spawn('sh', ['-c', script, folder, ...args], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
    const redis = new OwnRedis(`redis://127.0.0.1:${port}`, child);
    let said = '';
    for await (const text of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      said += text;
      if (!said.includes('Ready to accept connections')) continue;
      child.stdout.resume();
      return redis;
    }
    throw new Error(`redis-server did not start:\n${said}`);
  }

  async stop(): Promise<void> {
    this.#child.stdin?.end();
    await this.#exit;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  server.close();
  return port;
}
