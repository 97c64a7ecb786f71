/** The Celery example as a process: work goes both ways, and nothing is left after it. */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { compiledExample } from './compiled-tasks.ts';

const run = promisify(execFile);
const main = compiledExample('celery/main');
const source = fileURLToPath(new URL('../examples/celery/', import.meta.url));

it('the Celery example prints what its page says, and leaves no file', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'celery-example-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await copyFile(join(source, 'proj.py'), join(dirname(main), 'proj.py'));
  const env = { ...process.env, TMPDIR: folder, PYTHON: '/usr/bin/python3' };
  const { stdout, stderr } = await run(process.execPath, [main], { env });
  const [, said] =
    /prints what went where:\n\n```\n(.*?)```/s.exec(await readFile(join(source, 'README.md'), 'utf8')) ?? [];
  expect({ stdout, stderr }).toEqual({ stdout: said, stderr: '' });
  expect(await readdir(folder)).toEqual([]);
});
