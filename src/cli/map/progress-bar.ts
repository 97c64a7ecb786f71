/**
 * The progress of a run on a terminal: one line at the bottom, redrawn ten times a second. It changes no setting of the
 * terminal, so that nothing has to be restored when the process is killed.
 */
import { Writable } from 'node:stream';
import cliProgress, { type Options, type SingleBar } from 'cli-progress';
import { showDuration, showRate } from './figures.ts';
import type { Tally } from './tally.ts';

const eraseLine = '\r\x1b[K';
const saveCursor = '\x1b7';

export class ProgressBar {
  readonly #terminal: NodeJS.WritableStream;
  readonly #bar: SingleBar;
  #isShown = false;

  constructor(tally: Tally, terminal: NodeJS.WritableStream) {
    this.#terminal = terminal;
    this.#bar = new cliProgress.SingleBar({
      stream: terminal,
      format: (options) => describe(tally, options),
      barsize: 30,
      linewrap: true, // leaves wrapping as it is, and cuts the line instead
      forceRedraw: true,
      clearOnComplete: true,
    });
  }

  start(): void {
    this.#isShown = true;
    this.#bar.start(0, 0);
  }

  /** Calls a function that writes whole lines to the terminal, so that they appear above the bar. */
  above(write: () => void): void {
    if (!this.#isShown) {
      write();
      return;
    }
    this.#terminal.write(eraseLine);
    write();
    this.#terminal.write(saveCursor); // the bar returns to where it was saved when it stops
    this.#bar.render();
  }

  /** A stream to the terminal whose text appears above the bar. */
  streamAbove(): Writable {
    return new Writable({
      decodeStrings: false,
      write: (chunk: string | Uint8Array, _encoding, done) => {
        this.above(() => this.#terminal.write(chunk));
        done();
      },
    });
  }

  stop(): void {
    this.#isShown = false;
    this.#bar.stop();
  }
}

function describe(tally: Tally, options: Options): string {
  const { total, failed, skipped, perSecond, leftMs } = tally;
  const done = tally.done + skipped;
  return [
    ...(total === undefined
      ? [`${done} done`]
      : [`[${cliProgress.Format.BarFormat(total === 0 ? 1 : done / total, options)}]`, `${done}/${total}`]),
    showRate(perSecond),
    ...(leftMs === undefined ? [] : [`ETA ${showDuration(leftMs)}`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
  ].join('  ');
}
