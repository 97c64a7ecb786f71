/** `taskwarden queue` on a real Redis and PostgreSQL. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { Command, taskwarden, taskwardenHere } from './command.ts';
import { type Place, type Places, queueCommand } from './queue.ts';

const password = 'S3cr3tPw';

async function serverPlaces(start: typeof startRedis | typeof startPostgres): Promise<Places> {
  const server = await start();
  let prefixes = 0;
  const make = (): Place => {
    prefixes += 1;
    const prefix = `cli${prefixes}`;
    return {
      courier: new BullMQTaskCourier(server.url, { prefix }),
      args: (...action) => [server.url, ...action, '--prefix', prefix],
    };
  };
  return { make, end: () => server.stop() };
}

queueCommand('Redis', () => serverPlaces(startRedis));
queueCommand('PostgreSQL', () => serverPlaces(startPostgres));

describe('queue', () => {
  it.each(['redis', 'postgres'])(
    'says that a server of %s can not be reached, and never a password',
    async (scheme) => {
      const end = await taskwarden(['queue', `${scheme}://user:${password}@127.0.0.1:1`]);
      expect(end).toMatchObject({ code: 1, stdout: '' });
      expect(end.stderr).toMatch(/^taskwarden: the courier's server can't be reached.*ECONNREFUSED.*\n$/);
      expect(end.stderr).not.toContain(password);
    },
  );

  it('says that a server refuses, and never a password', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const end = await taskwarden(['queue', redis.url.replace('://', `://alice:${password}@`)]);
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toMatch(/^taskwarden: the courier's server refuses the connection.*\n$/);
    expect(end.stderr).not.toContain(password);
  });

  it('says in one line which package is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'taskwarden-cli-queue-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const modules = join(folder, 'node_modules');
    const root = fileURLToPath(new URL('../..', import.meta.url));
    for (const part of ['dist', 'package.json']) {
      cpSync(join(root, part), join(modules, 'taskwarden', part), { recursive: true });
    }
    for (const name of ['eventemitter3', 'piscina', 'croner', 'cli-progress']) {
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
    }
    const main = join(modules, 'taskwarden', 'dist', 'src', 'cli', 'main.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'queue', 'redis://localhost'], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^taskwarden: .*npm install bullmq.*\n$/);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends by %s while the server does not answer', async (signal, code) => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const connected = new Promise((resolve) => silent.once('connection', resolve));
    const { port } = silent.address() as { readonly port: number };
    const command = new Command(['queue', `redis://127.0.0.1:${port}`]);
    await connected;
    command.process.kill(signal);
    expect(await command.end()).toMatchObject({ code, signal: null, stdout: '', stderr: '' });
  });

  it.each([
    ['nothing to look into', [], /queue takes the URL of a server/],
    ['another scheme', ['http://localhost'], /begins with redis:\/\/, rediss:\/\/ or postgres:\/\/, and not with http/],
    ['a URL that is none', ['redis://[::'], /it can not be parsed/],
    ['a database that is none', ['redis://localhost/db'], /the number of a database/],
    ['no such file', ['./nowhere.db'], /there is no file \.\/nowhere\.db/],
    ['a prefix in a file', ['./numbers.ndjson', '--prefix', 'a'], /--prefix is for servers/],
    ['a mistyped URL', [`redis:/user:${password}@localhost`], /there is no file redis:\/user:\*\*\*@localhost/],
    ['an unknown action', ['redis://localhost', 'drain'], /queue has no 'drain'; it has info, list/],
    ['a redrive of all queues', ['redis://localhost', 'redrive'], /redrive needs --queue/],
    ['a cancel without ids', ['redis://localhost', 'cancel', '--queue', 'a'], /cancel takes the ids of tasks/],
    ['ids where none are taken', ['redis://localhost', 'list', 'a'], /list takes no ids/],
    ['an unknown state', ['redis://localhost', 'list', '--state', 'lost'], /--state must be one of 'waiting'/],
    ['a state where none is taken', ['redis://localhost', 'info', '--state', 'failed'], /info takes no --state/],
    ['a bad --max', ['redis://localhost', 'list', '--max', '0'], /--max must be a whole number/],
    ['a bad queue', ['redis://localhost', 'list', '--queue', 'a:b'], /must not contain ":"/],
    ['an unknown flag', ['redis://localhost', '--bogus'], /'--bogus'/],
  ])('refuses a wrong call in a line or two, with exit code 2: %s', async (_, args, message) => {
    const end = await taskwardenHere(['queue', ...args]);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/^taskwarden: .*\nSee taskwarden --help\n$/);
    expect(end.stderr).not.toContain(password);
  });
});
