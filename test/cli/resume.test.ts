/** Runs that go on where another one has ended, in whatever way that was. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { jobLogHeader } from '../../src/cli/map/job-log/job-line.ts';
import { byIndex, Command, mapOnLoop, parseLines, type ResultLine, taskwarden, taskwardenHere } from './command.ts';
import { mkdtempDisposable } from './temporary-folder.ts';

interface Files {
  readonly log: string;
  readonly output: string;
}

async function newFiles(): Promise<Files> {
  const folder = await mkdtempDisposable(join(tmpdir(), 'taskwarden-'));
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return { log: join(folder.path, 'run.log'), output: join(folder.path, 'results.ndjson') };
}

/** The columns of each line, without the header. */
async function jobs(path: string): Promise<string[][]> {
  const [header, ...lines] = (await readFile(path, 'utf8')).split('\n');
  expect(header).toBe(jobLogHeader);
  expect(lines.pop()).toBe('');
  return lines.map((line) => line.split('\t'));
}

async function resultsIn(path: string): Promise<ResultLine[]> {
  return parseLines(await readFile(path, 'utf8'));
}

const seqs = (lines: readonly string[][]) => lines.map(([seq]) => Number(seq));

describe('--joblog', () => {
  it('gets a line for each input that has ended', async () => {
    const { log } = await newFiles();
    await taskwardenHere([...mapOnLoop, './functions.mjs#refuse', '--ordered', '--joblog', log, 'good', 'bad', 'é']);
    const lines = await jobs(log);
    expect(seqs(lines)).toEqual([1, 2, 3]);
    expect(lines.map((columns) => columns.slice(6))).toEqual([
      ['0', '0', './functions.mjs#refuse "good"'],
      ['1', '0', './functions.mjs#refuse "bad"'],
      ['0', '0', './functions.mjs#refuse "é"'],
    ]);
    const [first, , last] = lines as [string[], string[], string[]];
    expect(first.slice(4, 6)).toEqual(['4', String('{"index":0,"input":"good","result":"good"}\n'.length)]);
    expect(last[4]).toBe('2');
    expect(Number(first[2])).toBeGreaterThan(1_600_000_000);
    expect(Number(first[3])).toBeGreaterThanOrEqual(0);
  });

  it('has the exit code and signal of children that die', async () => {
    const { log } = await newFiles();
    const flags = ['--type', 'process', '--concurrency', '1', '--joblog', log];
    await taskwardenHere(['map', './dies.mjs#die', ...flags, 'exit', 'kill', 'live']);
    expect((await jobs(log)).map((columns) => columns.slice(6, 8).map(Number))).toEqual([
      [7, 0],
      [0, constants.signals.SIGKILL],
      [0, 0],
    ]);
  });

  it('has inputs that can not be read', async () => {
    const { log } = await newFiles();
    await taskwardenHere([...mapOnLoop, './functions.mjs#add', '--json', '--joblog', log, '{oops']);
    expect((await jobs(log)).map((columns) => columns.slice(6))).toEqual([['1', '0', './functions.mjs#add "{oops"']]);
  });

  it('that has no space left ends the run, with a message and exit code 1', async () => {
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', '--joblog', '/dev/full', 'x']);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toContain("can't write a job log to /dev/full: ENOSPC");
  });
});

describe('a run that goes on', () => {
  it('leaves out what the log has: --resume', async () => {
    const { log } = await newFiles();
    await taskwardenHere([...mapOnLoop, './functions.mjs#refuse', '--joblog', log, 'a', 'bad']);
    const end = await taskwardenHere([
      ...mapOnLoop,
      './functions.mjs#refuse',
      '--joblog',
      log,
      '--resume',
      'a',
      'bad',
      'c',
      'd',
    ]);
    expect(byIndex(end).map(({ index, input }) => [index, input])).toEqual([
      [2, 'c'],
      [3, 'd'],
    ]);
    expect(end.code).toBe(0);
    expect(end.stderr).toMatch(/^2 done in .*; 2 more were done before\n$/);
    expect(seqs(await jobs(log)).sort()).toEqual([1, 2, 3, 4]);
  });

  it('runs again what has failed, and then the rest: --resume-failed', async () => {
    const { log } = await newFiles();
    await taskwardenHere([...mapOnLoop, './functions.mjs#refuse', '--joblog', log, 'a', 'bad']);
    // Another function, which does not fail: what matters are the inputs.
    const again = [
      ...mapOnLoop,
      './functions.mjs#length',
      '--joblog',
      log,
      '--resume',
      '--resume-failed',
      'a',
      'bad',
      'c',
    ];
    const end = await taskwardenHere(again);
    expect(byIndex(end).map(({ index }) => index)).toEqual([1, 2]);
    expect(end.stderr).toMatch(/; 1 more was done before\n$/);
    expect((await taskwardenHere(again)).results).toEqual([]);
  });

  it('takes what has failed from the log, and reads no standard input: --retry-failed', async () => {
    const { log } = await newFiles();
    await taskwardenHere([...mapOnLoop, './functions.mjs#refuse', '--joblog', log, 'a', 'bad 1', 'b', 'bad\n2']);
    const command = new Command([...mapOnLoop, './functions.mjs#length', '--joblog', log, '--retry-failed']);
    const end = await command.end();
    expect(byIndex(end)).toEqual([
      { index: 1, input: 'bad 1', result: 5 },
      { index: 3, input: 'bad\n2', result: 5 },
    ]);
    expect(end.stderr).toMatch(/^2 done in [^;]*\n$/);
    const nothing = await taskwardenHere([...mapOnLoop, './functions.mjs#length', '--joblog', log, '--retry-failed']);
    expect(nothing).toMatchObject({ code: 0, stdout: '' });
  });

  it('adds to the output file, in order with --ordered', async () => {
    const { log, output } = await newFiles();
    const flags = ['--joblog', log, '-o', output, '--ordered'];
    await taskwardenHere([...mapOnLoop, './functions.mjs#length', ...flags, 'a', 'b']);
    await taskwardenHere([...mapOnLoop, './functions.mjs#length', ...flags, '--resume', ...'abcdefgh']);
    expect((await resultsIn(output)).map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('drops a last line that was cut short, of the log and of the output', async () => {
    const { log, output } = await newFiles();
    const flags = ['--joblog', log, '-o', output];
    await taskwardenHere([...mapOnLoop, './functions.mjs#length', ...flags, 'a']);
    await appendFile(log, '2\t:\t17');
    await appendFile(output, '{"index":1,"inp');
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', ...flags, '--resume', 'a', 'bb']);
    expect(end.stderr).toContain(`the last line of ${log} was cut short, and is dropped: its input runs again\n`);
    expect(await resultsIn(output)).toEqual([
      { index: 0, input: 'a', result: 1 },
      { index: 1, input: 'bb', result: 2 },
    ]);
    expect(seqs(await jobs(log))).toEqual([1, 2]);
  });

  it('begins at the first input if there is no log yet', async () => {
    const { log } = await newFiles();
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', '--joblog', log, '--resume', 'a']);
    expect(end.results).toHaveLength(1);
    expect(await jobs(log)).toHaveLength(1);
  });

  it('takes the rest of standard input', async () => {
    const { log } = await newFiles();
    const args = [...mapOnLoop, './functions.mjs#length', '--joblog', log];
    await taskwardenHere(args, 'a\nb\n');
    const end = await taskwardenHere([...args, '--resume'], 'a\nb\nc\n');
    expect(end.results).toEqual([{ index: 2, input: 'c', result: 1 }]);
  });

  it('ends with a message and exit code 2 if the log has another input in the place of one', async () => {
    const { log } = await newFiles();
    const args = [...mapOnLoop, './functions.mjs#length', '--joblog', log];
    await taskwardenHere([...args, 'a', 'b']);
    const before = await readFile(log, 'utf8');
    const end = await taskwardenHere([...args, '--resume', 'a', 'c', 'd']);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toBe(
      `taskwarden: input 1 is "c", but ${log} has another one as Seq 2: ` +
        'to resume, give the inputs of the run that wrote it, in the same order\n',
    );
    expect(await readFile(log, 'utf8')).toBe(before);
  });

  it.each([
    ['--resume without a log', ['--resume', 'x'], /--resume needs --joblog/],
    ['--retry-failed without a log', ['--retry-failed'], /--retry-failed needs --joblog/],
    ['--retry-failed with inputs', ['--retry-failed', '--joblog', './none.log', 'x'], /leave them out/],
    ['one file for both', ['--joblog', './one', '-o', 'one', 'x'], /--joblog and --output need a file each/],
    ['a log that is something else', ['--joblog', './functions.mjs', '--resume', 'x'], /functions\.mjs is no job log/],
    ['a log that would be overwritten', ['--joblog', './functions.mjs', 'x'], /functions\.mjs is no job log/],
    ['a log in no folder', ['--joblog', './nowhere/log', 'x'], /can't write a job log to \.\/nowhere\/log/],
  ])('is refused in a line or two, with exit code 2: %s', async (_, args, message) => {
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', ...args]);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/^taskwarden: .*\nSee taskwarden --help\n$/);
  });
});

describe('after an end that was not its own', () => {
  it('a run goes on: Ctrl-C', async () => {
    const { log } = await newFiles();
    const inputs = ['quick', 'one', 'two'];
    const command = new Command(['map', './stops.mjs#listens', '--concurrency', '1', '--joblog', log, ...inputs]);
    await Promise.all([command.says('stdout', '\n'), command.says('stderr', 'one has begun')]);
    command.process.kill('SIGINT');
    expect((await command.end()).code).toBe(130);
    expect(seqs(await jobs(log))).toEqual([1]); // what was stopped is not in it
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', '--joblog', log, '--resume', ...inputs]);
    expect(byIndex(end).map(({ input }) => input)).toEqual(['one', 'two']);
  });

  it('a run goes on: a halt', async () => {
    const { log } = await newFiles();
    const args = [...mapOnLoop, './functions.mjs#refuse', '--concurrency', '1', '--joblog', log];
    const inputs = ['a', 'bad 1', 'b', 'bad 2', 'c'];
    const halted = await taskwardenHere([...args, '--halt', 'now,fail=1', ...inputs]);
    expect(halted.results).toHaveLength(2);
    const end = await taskwardenHere([...args, '--resume', ...inputs]);
    expect(end.results.map(({ input }) => input)).toEqual(['b', 'bad 2', 'c']);
  });

  it.each([[], ['--ordered']])(
    'runs go on from one SIGKILL to the next, until all is done once: %j',
    async (...ordered) => {
      const { log, output } = await newFiles();
      const inputs = Array.from({ length: 150 }, (_, index) => `input ${index}`);
      const flags = ['--concurrency', '2', ...ordered, '--joblog', log, '-o', output, '--resume'];
      const args = ['map', './notes.mjs#note', ...flags];
      for (const killedFrom of [15, 50, 51, 125]) {
        const command = new Command(args, { KILLED_FROM: `${killedFrom}` });
        command.process.stdin?.on('error', () => {}).end(inputs.join('\n'));
        expect((await command.end()).signal).toBe('SIGKILL');
      }
      const [, ...whole] = (await readFile(log, 'utf8')).split('\n').slice(0, -1);
      const logged = new Set(whole.map((line) => Number(line.split('\t')[0])));
      expect(logged.size).toBeGreaterThan(50);
      const end = await taskwarden(args, inputs.join('\n'));
      expect(end.code).toBe(0);
      const again = [...end.stderr.matchAll(/<input (\d+)>/g)].map(([, index]) => Number(index));
      expect(again.filter((index) => logged.has(index + 1))).toEqual([]);
      expect(seqs(await jobs(log)).sort((a, b) => a - b)).toEqual(inputs.map((_, index) => index + 1));
      expect(new Set((await resultsIn(output)).map(({ input }) => input))).toEqual(new Set(inputs));
    },
  );
});

describe('--dry-run', () => {
  it('shows what would run, calls nothing and writes into no file', async () => {
    const { log, output } = await newFiles();
    const args = [...mapOnLoop, './functions.mjs#refuse', '--joblog', log, '-o', output];
    await taskwardenHere([...args, 'a', 'bad']);
    await appendFile(log, '3\t:');
    const before = await Promise.all([log, output].map((path) => readFile(path, 'utf8')));
    const end = await taskwardenHere([...args, '--resume-failed', '--dry-run', 'a', 'bad', 'c']);
    expect(end.results).toEqual([
      { index: 1, input: 'bad' },
      { index: 2, input: 'c' },
    ]);
    expect(end).toMatchObject({ code: 0, stderr: '2 would run; 1 more was done before\n' });
    expect(await Promise.all([log, output].map((path) => readFile(path, 'utf8')))).toEqual(before);
  });

  it('shows inputs as the function would get them, and those that can not be read', async () => {
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#add', '--json', '--dry-run', '[1,2]', '{oops']);
    expect(end.results).toMatchObject([
      { index: 0, input: [1, 2] },
      { index: 1, input: '{oops', error: { name: 'SyntaxError' } },
    ]);
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(/^2 would run, 1 of them failed\n {2}input 1 /);
  });

  it('leaves a log alone that it would begin anew', async () => {
    const { log } = await newFiles();
    await writeFile(log, `${jobLogHeader}\n`);
    await taskwardenHere([...mapOnLoop, './functions.mjs#length', '--joblog', log, '--dry-run', 'a']);
    expect(await readFile(log, 'utf8')).toBe(`${jobLogHeader}\n`);
  });
});
