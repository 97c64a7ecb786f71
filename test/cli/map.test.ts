import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { byIndex, Command, mapOnLoop, parseLines, taskwarden, taskwardenHere } from './command.ts';
import { HoldingServer } from './holding-server.ts';
import { mkdtempDisposable } from './temporary-folder.ts';

describe('the function', () => {
  it('is the export that the target names, and each input its one argument, a string', async () => {
    const end = await taskwarden(['map', './functions.mjs#length', 'four', '12']);
    expect(byIndex(end)).toEqual([
      { index: 0, input: 'four', result: 4 },
      { index: 1, input: '12', result: 2 },
    ]);
    expect(end.code).toBe(0);
  });

  it.each([
    ['./functions.ts', 'ABC'],
    ['./plain.mjs', 'cba'],
    ['./one-function.cjs', '<abc>'],
  ])('is the default export if the target names none: %s', async (target, result) => {
    expect((await taskwardenHere(['map', target, 'abc'])).results).toEqual([{ index: 0, input: 'abc', result }]);
  });

  it.each([
    ['a function of a built-in', 'node:querystring#escape', 'x'],
    ['an export of a CommonJS module', './legacy.cjs#double', 'xx'],
    ['an exported background task', './registered.mjs#exported', 'exported x'],
    ['a background task that is not exported', './registered.mjs#unexported', 'unexported x'],
    ['a background task of a module that waits for its own', './program.mjs#exported', 'exported x'],
    ['one of those that is not exported', './program.mjs#unexported', 'unexported x'],
  ])('may be %s', async (_, target, result) => {
    const end = await taskwardenHere(['map', target, 'x']);
    expect(end.results).toEqual([{ index: 0, input: 'x', result }]);
    expect(end.code).toBe(0);
  });

  it.each(['toString', 'constructor', '__proto__', 'then'])('is none that all objects have: %s', async (name) => {
    const end = await taskwardenHere(['map', `./legacy.cjs#${name}`, 'x']);
    expect(end.results).toEqual([]);
    expect(end.stderr).toContain(name);
    expect(end.code).toBe(2);
  });

  it('runs in children with --type process, as many at a time as --concurrency says', async () => {
    const flags = ['--type', 'process', '--concurrency', '1'];
    const end = await taskwardenHere(['map', './processes.mjs#whereIs', ...flags, 'a', 'b', 'c']);
    const places = end.results.map(({ result }) => result as [number, number]);
    expect(places).toHaveLength(3);
    expect(new Set(places.map(([pid]) => pid)).size).toBe(1);
    for (const [pid, parent] of places) expect(pid).not.toBe(parent);
  });

  it('runs on the event loop with --type loop', async () => {
    const end = await taskwarden(['map', './functions.ts#length', '--type', 'loop', 'four']);
    expect(end.results).toEqual([{ index: 0, input: 'four', result: 4 }]);
  });

  it.each(['thread', 'process'])('may print, and standard output stays free for results: %s', async (type) => {
    const end = await taskwarden(['map', './functions.mjs#say', '--type', type, 'this']);
    expect(end.stderr).toContain('says this\n');
    expect(end.results).toEqual([{ index: 0, input: 'this', result: null }]);
  });
});

describe('inputs', () => {
  it('are the lines of standard input when there are no arguments', async () => {
    const end = await taskwarden([...mapOnLoop, './functions.mjs#length'], 'one\nthree\n\nlast');
    expect(byIndex(end)).toEqual([
      { index: 0, input: 'one', result: 3 },
      { index: 1, input: 'three', result: 5 },
      { index: 2, input: '', result: 0 },
      { index: 3, input: 'last', result: 4 },
    ]);
  });

  it("are the lines of standard input for '-'", async () => {
    expect((await taskwardenHere([...mapOnLoop, './functions.mjs#length', '-'], 'one\n')).results).toEqual([
      { index: 0, input: 'one', result: 3 },
    ]);
  });

  it('may begin with a dash after --', async () => {
    expect((await taskwardenHere([...mapOnLoop, './functions.mjs#length', '--', '--long'])).results).toEqual([
      { index: 0, input: '--long', result: 6 },
    ]);
  });

  it('may be none: then nothing is done, and that is no failure', async () => {
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length'], '');
    expect(end).toMatchObject({ code: 0, stdout: '' });
    expect(end.stderr).toMatch(/^0 done/);
  });

  it('are JSON with --json: an array is the list of arguments, any other value the only one', async () => {
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#add', '--json', '[1, 2]', '5']);
    expect(byIndex(end)).toEqual([
      { index: 0, input: [1, 2], result: 3 },
      { index: 1, input: 5, result: 5 },
    ]);
    const types = await taskwardenHere([
      ...mapOnLoop,
      './functions.mjs#typeOf',
      '--json',
      '[[1]]',
      '{"a":1}',
      '"text"',
      'true',
    ]);
    expect(byIndex(types).map(({ result }) => result)).toEqual(['array', 'object', 'string', 'boolean']);
  });

  it('that are no JSON fail, and the others go on', async () => {
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#add', '--json', '-'], '[1,2]\n{oops\n[3,4]\n');
    const [first, second, third] = byIndex(end);
    expect([first?.result, third?.result]).toEqual([3, 7]);
    expect(second).toMatchObject({ index: 1, input: '{oops', error: { name: 'SyntaxError' } });
    expect(end.code).toBe(1);
  });

  it('are read no faster than they are used: standard input may be endless', async () => {
    const command = new Command(['map', './sized.mjs#size']);
    const { stdin, stdout } = command.process;
    const endless = Readable.from(
      (function* () {
        for (;;) yield 'line\n';
      })(),
    );
    endless.pipe(stdin?.on('error', () => endless.destroy()) as NodeJS.WritableStream);
    await command.says('stdout', '"index":200,');
    stdout?.destroy();
    expect((await command.end()).code).toBe(0);
  });

  it('take no memory once they are done, nor while they wait', async () => {
    const flags = ['--concurrency', '2']; // on many cores, it reads ahead more than it has
    const command = new Command(['map', './sized.mjs#size', ...flags], { NODE_OPTIONS: '--max-old-space-size=24' });
    const line = `${'x'.repeat(65_535)}\n`;
    const lines = 750; // 64 KB each: twice of what it has
    Readable.from(
      (function* () {
        for (let count = 0; count < lines; count += 1) yield line;
      })(),
    ).pipe(command.process.stdin as NodeJS.WritableStream);
    const end = await command.end();
    expect(end.stderr).toMatch(new RegExp(`^${lines} done`));
    expect(end.code).toBe(0);
  });
});

describe('results', () => {
  it('come as they complete', async () => {
    await using server = await HoldingServer.start();
    const { slow, fast } = server;
    const command = new Command([...mapOnLoop, './asks.mjs#ask', '--concurrency', '2', slow, fast]);
    await command.says('stdout', '\n');
    server.release();
    expect((await command.end()).results).toEqual([
      { index: 1, input: fast, result: 'fast' },
      { index: 0, input: slow, result: 'slow' },
    ]);
  });

  it('come in the order of the inputs with --ordered, however they complete', async () => {
    await using server = await HoldingServer.start();
    const { slow, fast } = server;
    const flags = ['--ordered', '--concurrency', '2'];
    const end = taskwardenHere([...mapOnLoop, './asks.mjs#ask', ...flags, slow, fast, fast, fast]);
    await server.answered(3);
    server.release();
    expect((await end).results.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });

  it('keep their order with --ordered over many inputs, failures among them', async () => {
    const inputs = Array.from({ length: 200 }, (_, index) => (index % 5 === 0 ? `bad ${index}` : `${index}`));
    const end = await taskwardenHere(['map', './functions.mjs#refuse', '--ordered'], inputs.join('\n'));
    expect(end.results.map(({ index, input }) => [index, input])).toEqual([...inputs.entries()]);
    expect(end.results.filter(({ error }) => error !== undefined)).toHaveLength(40);
  });

  it('go to the file of -o, and nothing to standard output', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'taskwarden-'));
    const file = join(folder.path, 'results.ndjson');
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#length', '-o', file, '--ordered', 'a', 'bc']);
    expect(end).toMatchObject({ code: 0, stdout: '' });
    expect(parseLines(await readFile(file, 'utf8'))).toEqual([
      { index: 0, input: 'a', result: 1 },
      { index: 1, input: 'bc', result: 2 },
    ]);
  });

  it('all arrive at a reader that is slow, and are not held in memory for it', async () => {
    const flags = ['--concurrency', '2'];
    const command = new Command(['map', './sized.mjs#repeat', ...flags], { NODE_OPTIONS: '--max-old-space-size=48' });
    const { stdin, stdout } = command.process;
    const lines = 600; // 100 KB of results each: more than it has
    stdin?.end('0123456789\n'.repeat(lines));
    stdout?.on('data', () => {
      stdout.pause();
      setTimeout(() => stdout.resume(), 2); // far slower than they are made
    });
    expect((await command.end()).results).toHaveLength(lines);
  });

  it('that JSON has no word for become the nearest that it has', async () => {
    const nearest = {
      nothing: null,
      bigint: '18446744073709551616',
      nested: { big: ['1'] },
      map: [['a', [1, 2]]],
      bytes: [1, 2, 255],
      buffer: [104, 105],
      floats: [0.5, -1],
      bigints: ['-1'],
      view: [8, 9],
      arrayBuffer: [7],
      date: '1970-01-01T00:00:00.000Z',
      regexp: '/a+/g',
      error: { name: 'RangeError', message: 'too far' },
      notANumber: [null, null],
      circular: { name: 'loop', self: '[Circular]' },
      circularMap: [['self', '[Circular]']],
      shared: [{ a: 1 }, { a: 1 }],
    };
    const end = await taskwardenHere(['map', './unsayable.mjs#give', '--ordered', ...Object.keys(nearest)]);
    expect(end.results.map(({ input, result }) => [input, result])).toEqual(Object.entries(nearest));
    expect(end.code).toBe(0);
  });

  it('on the event loop are written the same way, functions too', async () => {
    const names = ['buffer', 'function', 'circular'];
    const end = await taskwardenHere([...mapOnLoop, './unsayable.mjs#give', '--ordered', ...names]);
    expect(end.results.map(({ result }) => result)).toEqual([[104, 105], null, { name: 'loop', self: '[Circular]' }]);
  });

  it('that can not be copied from their thread fail that input alone', async () => {
    const end = await taskwardenHere(['map', './unsayable.mjs#give', '--ordered', 'function', 'bigint']);
    expect(end.results).toMatchObject([
      { input: 'function', error: { code: 'RESULT_NOT_CLONEABLE' } },
      { input: 'bigint', result: '18446744073709551616' },
    ]);
    expect(end.code).toBe(1);
  });

  it('that are too deep to be written fail that input alone', async () => {
    const end = await taskwardenHere([...mapOnLoop, './unsayable.mjs#give', '--ordered', 'deep', 'bigint']);
    expect(end.results).toMatchObject([
      { input: 'deep', error: { name: 'RangeError' } },
      { input: 'bigint', result: '18446744073709551616' },
    ]);
    expect(end.code).toBe(1);
  });
});

describe('failures', () => {
  it('are lines with the error, and make the exit code 1', async () => {
    const end = await taskwardenHere(['map', './functions.mjs#refuse', 'good', 'bad']);
    expect(byIndex(end)).toEqual([
      { index: 0, input: 'good', result: 'good' },
      { index: 1, input: 'bad', error: { name: 'RangeError', message: 'no bad', code: 'E_BAD' } },
    ]);
    expect(end.code).toBe(1);
  });

  it('may be anything that was thrown', async () => {
    const end = await taskwardenHere([
      'map',
      './unsayable.mjs#fail',
      '--ordered',
      'text',
      'nothing',
      'object',
      'coded',
    ]);
    expect(end.results.map(({ error }) => error)).toEqual([
      { name: 'Error', message: 'just a text' },
      { name: 'Error', message: 'undefined' },
      { name: 'Error', message: "{ reason: 'none' }" },
      { name: 'Error', message: 'with a code', code: 'E_CODE' },
    ]);
  });

  it('are counted at the end, the first five with their messages', async () => {
    const inputs = Array.from({ length: 8 }, (_, index) => `bad ${index}`);
    const end = await taskwardenHere([...mapOnLoop, './functions.mjs#refuse', '--ordered', 'good', ...inputs]);
    expect(end.stderr).toMatch(/^9 done, 8 of them failed, in \d+\.\d s \(\d+(\.\d)?\/s\)\n/);
    expect(end.stderr.match(/^ {2}input \d+ \("bad \d"\): RangeError E_BAD: no bad \d$/gm)).toHaveLength(5);
    expect(end.stderr).toMatch(/ {2}and 3 more\n$/);
  });

  it('show one line of their message at the end', async () => {
    const end = await taskwardenHere([...mapOnLoop, './unsayable.mjs#fail', 'multiline']);
    expect(end.stderr).toMatch(/: Error: first line\n$/);
  });

  it('are tried again with --retries', async () => {
    const end = await taskwardenHere([...mapOnLoop, './attempts.mjs#succeedAt', '--retries', '2', '1', '3', '4']);
    expect(byIndex(end)).toEqual([
      { index: 0, input: '1', result: 1 },
      { index: 1, input: '3', result: 3 },
      { index: 2, input: '4', error: { name: 'Error', message: 'attempt 3 failed' } },
    ]);
  });

  it('come of runs longer than --timeout, also of those that keep their thread busy', async () => {
    const end = await taskwarden(['map', './stops.mjs#spins', '--timeout', '100', 'long', 'quick']);
    expect(byIndex(end)).toMatchObject([{ error: { code: 'TASK_TIMEOUT' } }, { result: 'quick' }]);
    expect(end.code).toBe(1);
  });
});

describe('--concurrency', () => {
  it('is how many run at once: that many do', async () => {
    await using server = await HoldingServer.start();
    const { slow } = server;
    const end = taskwardenHere(['map', './asks.mjs#ask', '--concurrency', '3', slow, slow, slow]);
    await server.held(3);
    server.release();
    expect((await end).results.map(({ result }) => result)).toEqual(['slow', 'slow', 'slow']);
  });

  it.each(['low', 'normal', 'high', 'critical'])('holds for %s tasks: no more run', async (priority) => {
    const flags = ['--concurrency', '3', '--priority', priority];
    const end = await taskwardenHere([...mapOnLoop, './loop-peak.mjs#peakOf', ...flags, ...'123456789']);
    expect(Math.max(...end.results.map(({ result }) => Number(result)))).toBe(3);
  });
});

describe('a wrong call', () => {
  it.each([
    ['no function', [], /map takes a function, such as/],
    ['an unknown flag', ['./functions.mjs', '--bogus', 'x'], /'--bogus'/],
    ['a flag without its value', ['./functions.mjs', 'x', '--timeout'], /--timeout/],
    ['a timeout that is no number', ['./functions.mjs', 'x', '--timeout', 'soon'], /--timeout must be .*; got 'soon'/],
    ['a timeout of nothing', ['./functions.mjs', 'x', '--timeout', ''], /--timeout must be .*; got ''/],
    ['retries below 0', ['./functions.mjs', 'x', '--retries=-1'], /--retries must be .*; got -1/],
    ['a concurrency of 0', ['./functions.mjs', 'x', '--concurrency', '0'], /--concurrency must be .*; got 0/],
    ['an unknown priority', ['./functions.mjs', 'x', '--priority', 'urgent'], /--priority must be one of .*'urgent'/],
    ['an unknown type', ['./functions.mjs', 'x', '--type', 'moon'], /--type must be one of .*'moon'/],
    ["'-' among other inputs", ['./functions.mjs', 'x', '-'], /'-' stands for standard input/],
    ['a file that is not there', ['./nowhere.ts', 'x'], /there is no file \.\/nowhere\.ts/],
    ['an output that is no file', ['./functions.mjs', '-o', './nowhere/out', 'x'], /can't write results to/],
  ])('is refused in a line or two, with exit code 2: %s', async (_, args, message) => {
    const end = await taskwardenHere(['map', ...args]);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/^taskwarden: .*\nSee taskwarden --help\n$/);
  });
});

describe('a function that can not be loaded', () => {
  it.each([
    ['a name that the module does not have', './functions.mjs#nosuch', /exports no function "nosuch"/],
    ['a module without default export', './legacy.cjs', /exports no function "default"/],
    ['a module that throws', './throws-while-loading.mjs#never', /this module never loads/],
    ['a name that a program does not have', './program.mjs#nosuch', /nosuch/],
  ])('ends the run at once, with one message and exit code 2: %s', async (_, target, message) => {
    const inputs = Array.from({ length: 100 }, (_, index) => `${index}`);
    const end = await taskwardenHere(['map', target, ...inputs]);
    expect(end).toMatchObject({ code: 2, stdout: '' });
    expect(end.stderr).toMatch(message);
    expect(end.stderr).toMatch(/^taskwarden: .*\n$/);
  });

  it('ends a run whose standard input is still open', async () => {
    const command = new Command(['map', './functions.mjs#nosuch']);
    command.process.stdin?.write('x\n');
    expect((await command.end()).code).toBe(2);
  });
});

describe('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s stops it cleanly and says how far it came', async (signal, code) => {
    const command = new Command(['map', './stops.mjs#listens', '--concurrency', '1', 'quick', 'one', 'two']);
    await Promise.all([command.says('stdout', '\n'), command.says('stderr', 'one has begun')]);
    command.process.kill(signal);
    const end = await command.end();
    expect(end.code).toBe(code);
    expect(end.results).toEqual([{ index: 0, input: 'quick', result: 'quick' }]);
    expect(end.stderr).toMatch(/^one has begun\none has cleaned up\nstopped: 1 of 3 done in [^\n]+\n$/);
  });

  it('ends a function that keeps its thread busy when its grace is over', async () => {
    const command = new Command(['map', './stops.mjs#spins', '--concurrency', '1', 'quick', 'one']);
    await Promise.all([command.says('stdout', '\n'), command.says('stderr', 'one has begun')]);
    command.process.kill('SIGINT');
    const end = await command.end();
    expect(end.code).toBe(130);
    expect(end.stderr).toContain('stopped: 1 of 2 done');
  });

  it('is heard while functions follow each other on the event loop', async () => {
    const command = new Command(['map', './stops.mjs#works', '--type', 'loop']);
    const inputs = 20_000;
    command.process.stdin?.on('error', () => {}).end(Array.from({ length: inputs }, (_, n) => `${n}\n`).join(''));
    await command.says('stderr', 'it has begun');
    command.process.kill('SIGINT');
    const end = await command.end();
    expect(end.code).toBe(130);
    expect(end.results.length).toBeLessThan(inputs);
  });

  it('stops the reading of a standard input that stays open', async () => {
    const command = new Command(['map', './stops.mjs#listens']);
    command.process.stdin?.write('quick\n');
    await command.says('stdout', '\n');
    command.process.kill('SIGINT');
    const end = await command.end();
    expect(end.code).toBe(130);
    expect(end.stderr).toMatch(/^stopped: 1 done/);
  });

  it('leaves no gap in what was done with --ordered: what waited for its turn is written', async () => {
    const flags = ['--ordered', '--concurrency', '2'];
    const command = new Command(['map', './stops.mjs#listens', ...flags, 'quick', 'one', 'quick', 'two']);
    await Promise.all([command.says('stderr', 'one has begun'), command.says('stderr', 'two has begun')]);
    command.process.kill('SIGINT');
    const end = await command.end();
    expect(end.results.map(({ index }) => index)).toEqual([0, 2]);
    expect(end.stderr).toContain('stopped: 2 of 4 done');
  });

  it('that comes a second time ends it at once', async () => {
    const command = new Command(['map', './stops.mjs#signalsAgain', 'one']);
    await command.says('stderr', 'one has begun');
    command.process.kill('SIGINT');
    const end = await command.end();
    expect(end.code).toBe(130);
    expect(end.stderr).toContain('stopped: 0 of 1 done');
  });
});

describe('an output that breaks', () => {
  it('ends it quietly if its reader has left, as `head` does', async () => {
    const command = new Command(['map', './sized.mjs#size']);
    const { stdin, stdout } = command.process;
    stdin?.on('error', () => {}).write('line\n'.repeat(100_000));
    await command.says('stdout', '\n');
    stdout?.destroy();
    expect(await command.end()).toMatchObject({ code: 0, signal: null, stderr: '' });
  });

  it('is a message and exit code 1 if there is no space left', async () => {
    const end = await taskwardenHere([...mapOnLoop, './sized.mjs#size', '-o', '/dev/full', 'x']);
    expect(end.code).toBe(1);
    expect(end.stderr).toContain("can't write results: ENOSPC");
  });
});
