/** `taskwarden queue` on a file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { expect, it, onTestFinished } from 'vitest';
import { taskwardenHere } from './command.ts';
import { type Place, queueCommand } from './queue.ts';

queueCommand('a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-cli-queue-'));
  let files = 0;
  const make = async (): Promise<Place> => {
    files += 1;
    const file = join(folder, `${files}.db`);
    return { courier: new SqliteTaskCourier(file), args: (...action) => [file, ...action] };
  };
  return { make, end: () => rmSync(folder, { recursive: true }) };
});

it('says that a file is no queue, and leaves it as it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-cli-queue-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'notes.txt');
  writeFileSync(file, 'these are notes, and no database\n'.repeat(100));
  const before = readFileSync(file);
  const end = await taskwardenHere(['queue', file]);
  expect(end).toMatchObject({ code: 1, stdout: '' });
  expect(end.stderr).toMatch(/^taskwarden: .*notes\.txt.*\n$/);
  expect(readFileSync(file).equals(before)).toBe(true);
});

it('says once why a file can not be used', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taskwarden-cli-queue-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  expect(await taskwardenHere(['queue', folder])).toMatchObject({
    code: 1,
    stderr: `taskwarden: ${folder} can't be used: it is a folder\n`,
  });
});
