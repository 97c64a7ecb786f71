/** What is written into a job log, and what is read of it by later runs. */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { EarlierRuns, type Resume } from '../../../src/cli/map/job-log/earlier-runs.ts';
import { jobLogHeader } from '../../../src/cli/map/job-log/job-line.ts';
import { JobLog } from '../../../src/cli/map/job-log/job-log.ts';
import { UsageError } from '../../../src/cli/usage-error.ts';
import { mkdtempDisposable } from '../temporary-folder.ts';

async function logPath(content?: string): Promise<string> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'taskwarden-'));
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const path = join(folder.path, 'run.log');
  if (content !== undefined) await writeFile(path, content);
  return path;
}

/** Adds inputs, by their texts; those that begin with "bad" have failed. */
async function add(path: string, inputs: Readonly<Record<number, string>>, appends = true): Promise<JobLog> {
  await using log = await JobLog.open(path, './f.ts#f', appends);
  for (const [index, text] of Object.entries(inputs)) {
    const failure = text.startsWith('bad') ? { error: new Error('bad') } : undefined;
    log.add({ index: Number(index), text, startedAt: 0, runMs: 1, resultLine: 'x\n', failure });
  }
  return log;
}

async function skipped(path: string, resume: Resume, texts: readonly string[]): Promise<string[]> {
  const runs = await EarlierRuns.read(path, resume);
  return texts.filter((text, index) => runs.skips({ index, text }));
}

async function failed(path: string): Promise<unknown[]> {
  const inputs: unknown[] = [];
  for await (const input of (await EarlierRuns.read(path, 'retry-failed')).failedInputs()) inputs.push(input);
  return inputs;
}

it('has a line for each input, in the order in which they end', async () => {
  const path = await logPath();
  await add(path, { 1: 'b', 0: 'a' });
  const [header, ...lines] = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(header).toBe(jobLogHeader);
  expect(lines.map((line) => line.split('\t').at(-1))).toEqual(['./f.ts#f "a"', './f.ts#f "b"']);
});

it('is added to, or begun anew', async () => {
  const path = await logPath();
  await add(path, { 0: 'a' }, false);
  await add(path, { 1: 'b' }, true);
  expect(await skipped(path, 'resume', ['a', 'b', 'c'])).toEqual(['a', 'b']);
  await add(path, { 2: 'c' }, false);
  expect(await skipped(path, 'resume', ['a', 'b', 'c'])).toEqual(['c']);
});

it('tells those that have failed, by their last line', async () => {
  const path = await logPath();
  await add(path, { 0: 'a', 1: 'bad 1', 2: 'bad 2' });
  const texts = ['a', 'bad 1', 'bad 2', 'new'];
  expect(await skipped(path, 'resume', texts)).toEqual(['a', 'bad 1', 'bad 2']);
  expect(await skipped(path, 'resume-failed', texts)).toEqual(['a']);
  expect(await failed(path)).toEqual([
    { index: 1, text: 'bad 1' },
    { index: 2, text: 'bad 2' },
  ]);
  const lines = (await readFile(path, 'utf8')).split('\n');
  const nowGood = lines[2]?.replace('\t1\t0\t', '\t0\t0\t');
  await writeFile(path, [...lines.slice(0, -1), nowGood, lines[3], ''].join('\n'));
  expect(await skipped(path, 'resume-failed', texts)).toEqual(['a', 'bad 1']);
  expect(await failed(path)).toEqual([{ index: 2, text: 'bad 2' }]);
});

it.each(['resume', 'resume-failed'] as const)(
  'refuses another input in the place of one that it has: %s',
  async (resume) => {
    const path = await logPath();
    await add(path, { 0: 'a', 1: 'bad' });
    const runs = await EarlierRuns.read(path, resume);
    for (const [index, text] of [
      [0, 'b'],
      [1, 'a'],
    ] as const) {
      expect(() => runs.skips({ index, text })).toThrow(UsageError);
      expect(() => runs.skips({ index, text })).toThrow(
        `input ${index} is "${text}", but ${path} has another one as Seq`,
      );
    }
  },
);

it('is resumed from wherever it was cut off: what is whole counts, and the rest is dropped', async () => {
  const path = await logPath();
  const texts = ['a', 'b\n', 'bad é'];
  await add(path, { ...texts });
  const whole = await readFile(path);
  for (let length = 0; length <= whole.length; length += 1) {
    await writeFile(path, whole);
    await truncate(path, length);
    const lines = whole.subarray(0, length).toString('latin1').split('\n').length - 1;
    const inputs = texts.slice(0, Math.max(lines - 1, 0));
    expect(await skipped(path, 'resume', texts)).toEqual(inputs);
    const { isMended } = await add(path, { 3: 'd' });
    expect(isMended).toBe(length > 0 && whole[length - 1] !== 0x0a);
    expect(await skipped(path, 'resume', [...texts, 'd'])).toEqual([...inputs, 'd']);
  }
});

it('may have lines longer than what is read at a time', async () => {
  const path = await logPath();
  const long = 'x'.repeat(200_000);
  await add(path, { 0: 'a', 1: long });
  const size = (await readFile(path)).length;
  expect(await skipped(path, 'resume', ['a', long])).toEqual(['a', long]);
  await truncate(path, size - 1);
  expect(await skipped(path, 'resume', ['a', long])).toEqual(['a']);
});

it('says nothing if it is not there yet', async () => {
  expect(await skipped(await logPath(), 'resume', ['a'])).toEqual([]);
});

it('is refused if it is something else', async () => {
  const other = await logPath('name,age\nada,36\n');
  await expect(EarlierRuns.read(other, 'resume')).rejects.toThrow(`${other} is no job log`);
  await expect(JobLog.open(other, 'f', false)).rejects.toThrow(`${other} is no job log`);
  expect(await readFile(other, 'utf8')).toBe('name,age\nada,36\n');
  const foreign = await logPath(`${jobLogHeader}\n1\t:\t1.0\t     1.235\t0\t0\t0\t0\techo a\n`);
  await expect(EarlierRuns.read(foreign, 'resume')).rejects.toThrow(`line 2 of ${foreign} is none that`);
  await expect(EarlierRuns.read(tmpdir(), 'resume')).rejects.toThrow(`can't resume from ${tmpdir()}`);
});
