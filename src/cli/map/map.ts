/** `taskwarden map`: calls one function for many inputs, on all cores. */
import { mapHelp } from '../help.ts';
import { onStopSignal } from '../stop-signals.ts';
import type { Streams } from '../streams.ts';
import { EarlierRuns } from './job-log/earlier-runs.ts';
import { JobLog } from './job-log/job-log.ts';
import { parseMapArguments } from './map-arguments.ts';
import type { StopCause } from './map-run.ts';
import { Output, openOutputFile } from './output.ts';
import type { ProgressBar } from './progress-bar.ts';
import { summarize, summarizeDryRun } from './summary.ts';
import { Tally } from './tally.ts';

/** Resolves with the exit code. */
export async function map(argv: readonly string[], streams: Streams): Promise<number> {
  const given = parseMapArguments(argv);
  if (given === undefined) {
    streams.stdout.write(mapHelp);
    return 0;
  }
  const { stdout, stderr } = process;
  const { jobLog, resume, isDryRun } = given;
  const earlier = jobLog !== undefined && resume !== undefined ? await EarlierRuns.read(jobLog, resume) : undefined;
  await using log =
    jobLog === undefined || isDryRun ? undefined : await JobLog.open(jobLog, given.targetText, earlier !== undefined);
  const file =
    given.outputFile === undefined || isDryRun
      ? undefined
      : await openOutputFile(given.outputFile, earlier !== undefined);
  if (log?.isMended) {
    stderr.write(`taskwarden: the last line of ${jobLog} was cut short, and is dropped: its input runs again\n`);
  }
  const { MapRun } = await import('./map-run.ts'); // with all of the library: help and wrong calls need none of it
  const tally = new Tally();
  const bar = stderr.isTTY ? new (await import('./progress-bar.ts')).ProgressBar(tally, stderr) : undefined;
  redirectPrints(bar);
  const output = new Output(file ?? stdout, {
    ordered: given.ordered,
    closes: file !== undefined,
    onBroken: (error) => run.stop(brokenOutput(error)),
    ...(bar !== undefined && file === undefined && stdout.isTTY && { around: (write) => bar.above(write) }),
  });
  await using run = new MapRun({ given, output, tally, earlier, log });
  using _signals = onStopSignal((exitCode, count) => {
    run.stop({ exitCode });
    if (count === 1) return;
    bar?.stop();
    stderr.write(summarize(tally, true));
    process.exit(exitCode);
  });
  bar?.start();
  const cause = await run.finish();
  bar?.stop();
  if (!cause?.isQuiet) {
    if (cause?.message !== undefined) stderr.write(`taskwarden: ${cause.message}\n`);
    if (isDryRun && cause === undefined) stderr.write(summarizeDryRun(tally));
    else if (cause?.message === undefined || tally.done > 0) stderr.write(summarize(tally, cause !== undefined));
  }
  return cause?.exitCode ?? (tally.failed > 0 ? 1 : 0);
}

/** Redirects what functions print to standard error, above the bar: standard output has only results. */
function redirectPrints(bar: ProgressBar | undefined): void {
  Object.defineProperty(process, 'stdout', { value: bar?.streamAbove() ?? process.stderr });
  if (bar !== undefined) Object.defineProperty(process, 'stderr', { value: bar.streamAbove() });
}

function brokenOutput(error: NodeJS.ErrnoException): StopCause {
  if (error.code === 'EPIPE') return { isQuiet: true }; // as by `| head`
  return { exitCode: 1, message: `can't write results: ${error.message}` };
}
