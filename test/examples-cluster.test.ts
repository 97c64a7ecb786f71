/** The cluster example as a process: nothing is lost with a worker that is killed, and nothing is left after it. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compiledExample } from './compiled-tasks.ts';
import { startRedis } from './servers/redis.ts';

const main = compiledExample('cluster/main');
const count = 150;
const files = fileURLToPath(new URL('../src', import.meta.url));

describe('the cluster example', { timeout: 120_000 }, () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cluster-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
    return new Program(args, { TMPDIR: folder, ...env });
  }

  /** What it has left, but for the cache of tsx. */
  async function leftFiles(): Promise<string[]> {
    return (await readdir(folder)).filter((name) => !name.startsWith('tsx-'));
  }

  it('loses nothing with a worker that is killed, and leaves no file', async () => {
    const program = start(['--jobs', `${count}`, files]);
    expect(await program.ended).toBe(0);
    expect(program.errors).toBe('');
    expect(program.output).toMatch(new RegExp(`^${count} tasks for 3 workers`));
    expect(program.output).toMatch(/worker 1: \d+ done in \d+\.\d s, \d+ a second, then it was killed/);
    expect(program.output).toMatch(/worker 1 had [0-8] in flight, which were done again by the others/);
    expect(program.output).toContain(
      `all ${count} came back once, with the right size and SHA-256; ${count / 50} gzip sizes were compared, too`,
    );
    expect(await leftFiles()).toEqual([]);
  });

  it('leaves nothing in a Redis that was there', async () => {
    await using redis = await startRedis();
    const program = start(['--redis', redis.url, '--jobs', '100', files]);
    expect(await program.ended).toBe(0);
    const client = new Redis(redis.url);
    expect(await client.keys('*')).toEqual([]);
    client.disconnect();
  });

  it('ends its workers and its Redis on Ctrl-C, and leaves no file', async () => {
    const program = start(['--jobs', '4000', files]);
    await program.says('tasks for 3 workers');
    program.signal('SIGINT');
    // The workers write to the same pipes, so that these are closed when all have ended.
    expect(await program.ended).toBe(130);
    expect(program.output).toContain('interrupted');
    expect(program.errors).toBe('');
    expect(await leftFiles()).toEqual([]);
  });

  it('says what to install where there is no Redis', async () => {
    const program = start([], { PATH: '' });
    expect(await program.ended).toBe(1);
    expect(program.errors).toMatch(/^There is no redis-server in the PATH: install Redis .*\n$/);
    expect(program.output).toBe('');
  });
});

class Program {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  /** Its exit code, or the signal that ended it; when it and all that write to its pipes have ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  output = '';
  errors = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(process.execPath, [main, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.ended = once(this.#child, 'close').then(([code, signal]) => code ?? signal);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
  }

  async says(words: string): Promise<void> {
    while (!this.output.includes(words)) await once(this.#child.stdout, 'data');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
