/** The command line: runs a command, and turns its outcome into an exit code. What only one command needs is loaded for it. */
import { createRequire } from 'node:module';
import { hasCode } from '../base/errors.ts';
import { isInstance } from '../base/foreign-value.ts';
import { help } from './help.ts';
import { queue } from './queue/queue.ts';
import type { Streams } from './streams.ts';
import { UsageError } from './usage-error.ts';

/** Resolves with the exit code, and never rejects: what went wrong is written to standard error. */
export async function runCommandLine(argv: readonly string[], streams: Streams): Promise<number> {
  try {
    return await runCommand(argv, streams);
  } catch (error) {
    return explain(error, streams);
  }
}

async function runCommand([command, ...argv]: readonly string[], streams: Streams): Promise<number> {
  switch (command) {
    case 'map': {
      const { map } = await import('./map/map.ts');
      return map(argv, streams);
    }
    case 'run': {
      const { run } = await import('./run.ts');
      return run(argv, streams);
    }
    case 'queue':
      return queue(argv, streams);
    case '--help':
    case '-h':
      streams.stdout.write(help);
      return 0;
    case '--version':
      streams.stdout.write(`${createRequire(import.meta.url)('taskwarden/package.json').version}\n`);
      return 0;
    case undefined:
      streams.stderr.write(help);
      return 2;
    default:
      throw new UsageError(`there is no command '${command}'`);
  }
}

function explain(error: unknown, { stderr }: Streams): number {
  if (isInstance(error, UsageError)) {
    stderr.write(`taskwarden: ${error.message}\nSee taskwarden --help\n`);
    return 2;
  }
  const said = hasCode(error, 'PEER_MISSING') ? error.message : (error as Error).stack;
  stderr.write(`taskwarden: ${said}\n`);
  return 1;
}
