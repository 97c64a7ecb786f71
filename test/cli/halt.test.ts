import { describe, expect, it } from 'vitest';
import { type Halt, isReached, parseHalt } from '../../src/cli/map/halt.ts';
import { Tally } from '../../src/cli/map/tally.ts';
import { UsageError } from '../../src/cli/usage-error.ts';
import { byIndex, Command, mapOnLoop, taskwardenHere } from './command.ts';
import { HoldingServer } from './holding-server.ts';

describe('--halt', () => {
  it.each([
    ['never', undefined],
    ['now,fail=1', { when: 'now', why: 'fail', count: 1, isPercentage: false }],
    ['soon,success=30%', { when: 'soon', why: 'success', count: 30, isPercentage: true }],
    ['soon,done=100%', { when: 'soon', why: 'done', count: 100, isPercentage: true }],
  ])('may be %s', (text, halt) => {
    expect(parseHalt(text)).toEqual(halt);
  });

  it.each([
    '',
    'now',
    '1',
    'soon,fail',
    'soon,fail=0',
    'soon,fail=-1',
    'soon,fail=0%',
    'soon,fail=101%',
    'soon,fall=1',
  ])('is refused: %j', (text) => {
    expect(() => parseHalt(text)).toThrow(UsageError);
    expect(() => parseHalt(text)).toThrow(`got '${text}'`);
  });

  it.each([
    ['now,fail=2', 9, 1, false],
    ['now,fail=2', 0, 2, true],
    ['now,success=2', 1, 9, false],
    ['now,success=2', 2, 0, true],
    ['now,done=3', 1, 1, false],
    ['now,done=3', 2, 1, true],
    ['now,fail=10%', 50, 9, false],
    ['now,fail=10%', 0, 10, true],
    ['now,fail=1%', 99, 0, false],
    ['now,fail=1%', 0, 1, true],
  ])('%s of a hundred inputs, with %d that have succeeded and %d that have failed: %j', (text, good, bad, reached) => {
    const tally = new Tally();
    tally.total = 100;
    for (let n = 0; n < good; n += 1) tally.succeed();
    for (let n = 0; n < bad; n += 1) tally.fail({ index: n, input: 'a', error: new Error('no') });
    expect(isReached(parseHalt(text) as Halt, tally)).toBe(reached);
  });
});

describe('a run with --halt', () => {
  const oneByOne = ['--concurrency', '1'];

  it('begins with nothing after so many failures', async () => {
    const flags = ['--halt', 'soon,fail=2', ...oneByOne];
    const end = await taskwardenHere(['map', './functions.mjs#refuse', ...flags, 'bad 1', 'good', 'bad 2', 'good']);
    expect(end.results.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(end.code).toBe(1);
    expect(end.stderr).toMatch(
      /^taskwarden: 2 inputs have failed \(--halt soon,fail=2\)\nstopped: 3 of 4 done, 2 of them/,
    );
  });

  it('is not stopped by fewer', async () => {
    const end = await taskwardenHere([
      ...mapOnLoop,
      './functions.mjs#refuse',
      '--halt',
      'now,fail=2',
      'bad',
      'good',
      'good',
    ]);
    expect(end.results).toHaveLength(3);
    expect(end.stderr).toMatch(/^3 done/);
  });

  it('lets those that run finish: soon', async () => {
    await using server = await HoldingServer.start();
    const { slow, fast } = server;
    const flags = ['--halt', 'soon,success=1', '--concurrency', '2'];
    const command = new Command(['map', './asks.mjs#ask', ...flags, slow, fast, fast]);
    await command.says('stdout', '"fast"');
    await server.held(1);
    server.release();
    const end = await command.end();
    expect(end.results).toEqual([
      { index: 1, input: fast, result: 'fast' },
      { index: 0, input: slow, result: 'slow' },
    ]);
    expect(end.code).toBe(0);
    expect(end.stderr).toMatch(/^taskwarden: an input has succeeded .*\nstopped: 2 of 3 done/);
  });

  it.each([[], ['--ordered']])('ends those that run: now %j', async (...ordered) => {
    const flags = ['--halt', 'now,success=1', '--concurrency', '2', ...ordered];
    const end = await taskwardenHere(['map', './stops.mjs#waits', ...flags, 'one', 'quick', 'quick']);
    expect(end.results).toEqual([{ index: 1, input: 'quick', result: 'quick' }]);
    expect(end.code).toBe(0);
  });

  it('counts a percentage of all lines of standard input', async () => {
    const flags = ['--halt', 'soon,done=30%', ...oneByOne];
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', ...flags], 'line\n'.repeat(10));
    expect(end.results).toHaveLength(3);
    expect(end.code).toBe(0);
  });

  it('counts inputs that can not be read', async () => {
    const flags = ['--json', '--halt', 'now,fail=1', ...oneByOne];
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#add', ...flags, '[1,2]', '{oops', '[3,4]']);
    expect(byIndex(end).map(({ index }) => index)).toEqual([0, 1]);
    expect(end.code).toBe(1);
  });

  it('is stopped by Ctrl-C, too, while it lets those that run finish', async () => {
    const flags = ['--halt', 'soon,success=1', '--concurrency', '2'];
    const command = new Command(['map', './stops.mjs#listens', ...flags, 'one', 'quick', 'quick']);
    await Promise.all([command.says('stdout', '\n'), command.says('stderr', 'one has begun')]);
    command.process.kill('SIGINT');
    const end = await command.end();
    expect(end.code).toBe(130);
    expect(end.results).toHaveLength(1);
  });

  it('is refused without a count, with exit code 2', async () => {
    const end = await taskwardenHere(['map', './functions.mjs#length', '--halt', 'soon', 'x']);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(/^taskwarden: --halt must be .*\nSee taskwarden --help\n$/);
  });
});
