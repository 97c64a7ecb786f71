/**
 * Loads the service, and checks that every upload comes to what it should: right results, the failures that were meant and
 * no others, none lost, none twice; then that a stop in the middle of a wave finishes what was accepted. Exit code 1 if not.
 *
 *   node --import tsx examples/service/load.ts [--uploads 10000] [--senders 32] [--url http://127.0.0.1:3000]
 *
 * With a URL it loads the service that is there, and leaves out the stop.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { Client } from './load/client.ts';
import { ServiceProcess } from './load/service-process.ts';
import { Wave } from './load/wave.ts';

const { values } = parseArgs({
  options: {
    uploads: { type: 'string', default: '10000' },
    senders: { type: 'string', default: '32' },
    url: { type: 'string' },
  },
});
const count = Number(values.uploads);
const senders = Number(values.senders);
if (!(Number.isSafeInteger(count) && count >= 100 && Number.isSafeInteger(senders) && senders >= 1)) {
  console.error('--uploads takes a whole number, 100 or more; --senders 1 or more');
  process.exit(2);
}

const problems: string[] = [];
function check(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) problems.push(`${what}: ${actual}, and should be ${expected}`);
}

/** The nearest rank. */
function percentile(times: readonly number[], fraction: number): string {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[Math.max(Math.ceil(sorted.length * fraction) - 1, 0)] ?? 0).toFixed(1);
}

/** All uploads. */
async function load(client: Client): Promise<void> {
  const before = (await client.get('/health')).body;
  const bar = process.stdout.isTTY
    ? new SingleBar({ format: '{bar} {value}/{total} uploads, {eta_formatted} left', stream: process.stdout })
    : undefined;
  bar?.start(count, 0);
  const startedAt = performance.now();
  const wave = await new Wave({ client, count, senders, onEnded: (ended) => bar?.update(ended) }).run();
  const seconds = (performance.now() - startedAt) / 1_000;
  bar?.stop();
  const { uploads, supervisor } = (await client.get('/health')).body;

  const failures = Math.floor(count / 100);
  problems.push(...wave.problems);
  check('uploads accepted', wave.ids.size, count);
  check('uploads done', wave.done, count - failures);
  check('uploads failed', wave.failed, failures);
  check('uploads that the service has accepted', uploads.accepted - before.uploads.accepted, count);
  check('runs of the function', uploads.runs - before.uploads.runs, count);
  check('uploads that the service has not finished', uploads.unfinished, 0);
  const retried = supervisor.retried - before.supervisor.retried;
  if (values.url === undefined) check('threads that died under an upload', retried, 3);

  const [megabytes, rate] = [(wave.bytes / 1e6).toFixed(1), Math.round(count / seconds)];
  console.log(`${count} uploads, ${megabytes} MB, in ${seconds.toFixed(1)} s: ${rate} a second`);
  console.log(
    `${wave.done} done, ${wave.failed} failed as they should, ${retried} tried again after their thread had died`,
  );
  console.log(`accepted after ms: p50 ${percentile(wave.acceptMs, 0.5)}, p99 ${percentile(wave.acceptMs, 0.99)}`);
  console.log(`ended after ms:    p50 ${percentile(wave.workMs, 0.5)}, p99 ${percentile(wave.workMs, 0.99)}`);
  console.log(`told to come again: ${wave.refused}`);
}

/** A stop in the middle of a wave. */
async function stop(client: Client, service: ServiceProcess): Promise<void> {
  const { uploads, settings } = (await client.get('/health')).body;
  const half = Math.min(Math.floor(count / 2), 200);
  let signaledAt = 0;
  const wave: Wave = new Wave({
    client,
    count: half * 2,
    senders,
    onAccepted: (accepted) => {
      if (accepted !== half) return;
      signaledAt = performance.now();
      service.signal('SIGTERM');
      void service.line('stopping').then(() => wave.stop());
    },
  });
  // It goes when it is done, and may be gone before the last status is asked for; then its own counts tell.
  const gone = await wave.run().then(
    () => undefined,
    (error) => error as NodeJS.ErrnoException,
  );
  if (gone !== undefined && gone.code === undefined) throw gone;
  check('exit code of the service', await service.ended, 0);
  const ms = performance.now() - signaledAt;
  const stopped = await service.line('stopped');
  const accepted = (stopped['accepted'] as number) - uploads.accepted;
  problems.push(...wave.problems);
  check('uploads of the last wave that the service has accepted', accepted, wave.ids.size);
  check('uploads that were left when the service stopped', stopped['unfinished'], 0);
  if (ms > settings.stopWithinMs) problems.push(`the stop took ${ms} ms, and may take ${settings.stopWithinMs}`);
  const { unfinished } = await service.line('stopping');
  console.log(
    `stopped in ${Math.round(ms)} ms, with ${unfinished} uploads in flight; ${stopped['unfinished']} were left`,
  );
}

const service = values.url === undefined ? await ServiceProcess.start({ SERVICE_CHAOS: '1' }) : undefined;
const client = new Client(values.url ?? (service as ServiceProcess).url, senders + 4);
try {
  await load(client);
  if (service !== undefined) await stop(client, service);
} finally {
  service?.signal('SIGKILL');
  client.close();
}
for (const problem of problems.slice(0, 20)) console.error(problem);
if (problems.length > 0) {
  console.error(`${problems.length} problems`);
  process.exitCode = 1;
}
