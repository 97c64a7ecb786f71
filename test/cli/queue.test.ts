/** `taskwarden queue` on a real Redis and PostgreSQL. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { Command, taskwardenHere } from './command.ts';
import { type Place, type Places, queueCommand } from './queue.ts';

const password = 'S3cr3tPw';

async function redisPlaces(): Promise<Places> {
  const server = await startRedis();
  let prefixes = 0;
  const make = async (): Promise<Place> => {
    prefixes += 1;
    return place(server.url, `cli${prefixes}`);
  };
  return { make, end: () => server.stop() };
}

/** A new schema takes the server a tenth of a second: there is one, whose tables are empty each time. */
async function postgresPlaces(): Promise<Places> {
  const server = await startPostgres();
  const schema = 'cli';
  const client = new Client({ connectionString: server.url });
  await client.connect();
  const make = async (): Promise<Place> => {
    const tables = `select tablename as name from pg_tables where schemaname = '${schema}' and tablename <> 'migration'`;
    const { rows } = await client.query<{ readonly name: string }>(tables);
    for (const { name } of rows) await client.query(`delete from ${schema}.${name}`);
    return place(server.url, schema);
  };
  const end = async () => {
    await client.end();
    await server.stop();
  };
  return { make, end };
}

function place(url: string, prefix: string): Place {
  return {
    courier: new BullMQTaskCourier(url, { prefix }),
    args: (...action) => [url, ...action, '--prefix', prefix],
  };
}

queueCommand('Redis', redisPlaces);
queueCommand('PostgreSQL', postgresPlaces);

describe('queue', () => {
  it.each(['redis', 'postgres'])(
    'says that a server of %s can not be reached, and never a password',
    async (scheme) => {
      const end = await taskwardenHere(['queue', `${scheme}://user:${password}@127.0.0.1:1`]);
      expect(end).toMatchObject({ code: 1, stdout: '' });
      expect(end.stderr).toMatch(/^taskwarden: the courier's server can't be reached.*ECONNREFUSED.*\n$/);
      expect(end.stderr).not.toContain(password);
    },
  );

  it('says that a server refuses, and never a password', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const end = await taskwardenHere(['queue', redis.url.replace('://', `://alice:${password}@`)]);
    expect(end).toMatchObject({ code: 1, stdout: '' });
    expect(end.stderr).toMatch(/^taskwarden: the courier's server refuses the connection.*\n$/);
    expect(end.stderr).not.toContain(password);
  });

  it('says in one line which package is missing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'taskwarden-cli-queue-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const modules = join(folder, 'node_modules');
    const root = fileURLToPath(new URL('../..', import.meta.url));
    for (const part of ['dist/src', 'dist/workers', 'package.json']) {
      const isNeeded = (path: string) => !/\.(d\.ts|map)$/.test(path);
      cpSync(join(root, part), join(modules, 'taskwarden', part), { recursive: true, filter: isNeeded });
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
