import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProgressBar } from '../../src/cli/map/progress-bar.ts';
import { Tally } from '../../src/cli/map/tally.ts';
import { fixtures } from './command.ts';

/** What a terminal is given. */
class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  columns = 100;
  text = '';

  override write(chunk: string): boolean {
    this.text += chunk;
    return true;
  }

  /** What was drawn since the last time, without what moves the cursor. */
  drawn(): string {
    const { text } = this;
    this.text = '';
    return stripVTControlCharacters(text);
  }
}

describe('the progress bar', () => {
  let terminal: FakeTerminal;
  let tally: Tally;
  let bar: ProgressBar;

  beforeEach(() => {
    vi.useFakeTimers();
    terminal = new FakeTerminal();
    tally = new Tally();
    bar = new ProgressBar(tally, terminal);
  });

  afterEach(() => {
    bar.stop();
    vi.useRealTimers();
  });

  function work(count: number, ms: number): void {
    for (let done = 0; done < count; done += 1) tally.succeed();
    vi.advanceTimersByTime(ms);
  }

  it('shows done and total, the rate, and the time that is left', () => {
    tally.total = 40;
    bar.start();
    terminal.drawn();
    work(10, 1_000);
    expect(terminal.drawn()).toContain('[========----------------------]  10/40  10/s  ETA 3.0 s');
  });

  it('shows only how many are done while the total is unknown, and the rest once it is known', () => {
    bar.start();
    terminal.drawn();
    work(10, 1_000);
    expect(terminal.drawn()).toMatch(/10 done {2}10\/s$/);
    tally.total = 20;
    work(0, 1_000);
    expect(terminal.drawn()).toMatch(/\[=+-+\] {2}10\/20 {2}5\.0\/s {2}ETA 2\.0 s$/);
  });

  it('counts failures among what is done, and shows them apart', () => {
    tally.total = 4;
    bar.start();
    tally.fail({ index: 0, input: 'x', error: new Error('no') });
    work(1, 1_000);
    expect(terminal.drawn()).toMatch(/2\/4 .* 1 failed$/);
  });

  it('is cut to the width of the terminal', () => {
    terminal.columns = 20;
    tally.total = 1;
    bar.start();
    expect(terminal.drawn()).toBe('[-------------------');
  });

  it('makes way for what is written above it, and is drawn again below', () => {
    bar.start();
    terminal.drawn();
    bar.above(() => terminal.write('a line\n'));
    expect(terminal.text.startsWith('\r\x1b[Ka line\n')).toBe(true); // the bar's line is erased first
    expect(terminal.drawn()).toMatch(/a line\n.*0 done/);
    bar.streamAbove().write('printed\n');
    expect(terminal.drawn()).toMatch(/^\rprinted\n.*0 done/);
  });

  it('is gone when it stops, and stays away', () => {
    bar.start();
    bar.stop();
    expect(terminal.text.endsWith('\x1b[2K')).toBe(true); // its line is erased
    terminal.drawn();
    vi.advanceTimersByTime(1_000);
    bar.above(() => terminal.write('after it\n'));
    expect(terminal.text).toBe('after it\n');
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** In a terminal of its own, made by script(1) of util-linux; gives what the terminal showed. */
async function inTerminal(command: string): Promise<string> {
  const main = '../../../dist/src/cli/main.js';
  const shell = `'${process.execPath}' ${main} ${command}; echo "exit code $?"`;
  const script = spawn('script', ['-qec', shell, '/dev/null'], { cwd: fixtures, stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  script.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await once(script, 'close');
  return stripVTControlCharacters(shown).replaceAll('\r\n', '\n');
}

describe('in a terminal', () => {
  it('the bar is drawn, and the summary follows', async () => {
    const shown = await inTerminal('map ./functions.mjs#refuse -o /dev/null good bad');
    expect(shown).toMatch(/\[-{30}\] {2}0\/2/);
    expect(shown).toMatch(/2 done, 1 of them failed, in .*\n.*no bad\nexit code 1\n$/);
  });

  it('results stand on lines of their own, above the bar', async () => {
    const shown = await inTerminal('map ./functions.mjs#length four');
    expect(shown).toContain('\r{"index":0,"input":"four","result":4}\n');
  });

  it('no bar is drawn if standard error goes elsewhere', async () => {
    const shown = await inTerminal('map ./functions.mjs#length four 2>/dev/null');
    expect(shown).toBe('{"index":0,"input":"four","result":4}\nexit code 0\n');
  });

  it('a run without inputs is refused: nobody would know that it waits for them', async () => {
    expect(await inTerminal('map ./functions.mjs')).toMatch(/^taskwarden: there are no inputs.*\n.*\nexit code 2\n$/);
  });
});
