/** A contestant in a process of its own, which waits while the others have their turns. */
import type { Contestant } from './measure.ts';
import { Program } from './program.ts';

export function processContestant(options: {
  readonly name: string;
  readonly settings: string;
  /** Its `run` is one run, and gives its figure. */
  readonly program: URL;
  readonly args: readonly string[];
}): Contestant {
  const { name, settings, program, args } = options;
  const running = new Program<number>(program, ...args);
  return { name, settings, run: () => running.run(), close: () => running.close() };
}
