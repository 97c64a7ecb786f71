/** `taskwarden run`: imports a module that starts tasks, and keeps the default supervisor running until a signal. */
import { describe } from '../base/logger.ts';
import { taskSupervisor } from '../index.ts';
import { importModule } from '../task/definition/import-module.ts';
import { parseFlags } from './flags.ts';
import { runHelp } from './help.ts';
import { onStopSignal } from './stop-signals.ts';
import type { Streams } from './streams.ts';
import { findModule } from './target.ts';
import { UsageError } from './usage-error.ts';

/** Resolves with the exit code: 0 after a graceful stop, that of the signal after a second signal. */
export async function run(argv: readonly string[], { stdout, stderr }: Streams): Promise<number> {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    stdout.write(runHelp);
    return 0;
  }
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0) throw new UsageError('run takes one module, such as ./service.ts');
  const moduleUrl = findModule(path);
  let exitCode = 0;
  using _signals = onStopSignal((code, count) => {
    if (count > 1) exitCode = code;
  });
  // Called before the import: signals are handled from the start, and the import may not end before the supervisor stops.
  const blocked = taskSupervisor.block();
  importModule(moduleUrl).catch(async (error: unknown) => {
    if (taskSupervisor.state !== 'running') return; // the stop has failed something that the module awaited
    stderr.write(`taskwarden: ${path} could not be imported: ${describe(error)}\n`);
    exitCode = 1;
    await taskSupervisor.stop({ wait: false });
  });
  await blocked;
  return exitCode;
}
