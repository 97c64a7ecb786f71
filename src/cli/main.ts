#!/usr/bin/env node
/** The command line: runs a command, and turns its outcome into the exit code. */
import { createRequire } from 'node:module';
import { hasCode } from '../base/errors.ts';
import { isInstance } from '../base/foreign-value.ts';
import { setTimeout } from '../platform/globals.ts';
import { help } from './help.ts';
import { map } from './map/map.ts';
import { queue } from './queue/queue.ts';
import { run } from './run.ts';
import { UsageError } from './usage-error.ts';

/** How long handles that a module left open, such as a closing server, may keep the process alive, in milliseconds. */
const leaveMs = 1_000;

async function main([command, ...argv]: readonly string[]): Promise<number> {
  switch (command) {
    case 'map':
      return map(argv);
    case 'run':
      return run(argv);
    case 'queue':
      return queue(argv);
    case '--help':
    case '-h':
      process.stdout.write(help);
      return 0;
    case '--version':
      process.stdout.write(`${createRequire(import.meta.url)('taskwarden/package.json').version}\n`);
      return 0;
    case undefined:
      process.stderr.write(help);
      return 2;
    default:
      throw new UsageError(`there is no command '${command}'`);
  }
}

function explain(error: unknown): number {
  if (isInstance(error, UsageError)) {
    process.stderr.write(`taskwarden: ${error.message}\nSee taskwarden --help\n`);
    return 2;
  }
  const said = hasCode(error, 'PEER_MISSING') ? error.message : (error as Error).stack;
  process.stderr.write(`taskwarden: ${said}\n`);
  return 1;
}

process.stderr.on('error', () => {}); // output that nobody reads is lost, and causes no error
const exitCode = await main(process.argv.slice(2)).catch(explain);
process.exitCode = exitCode;
setTimeout(() => process.exit(exitCode), leaveMs).unref();
