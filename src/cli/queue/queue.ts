/** `taskwarden queue`: looks into a courier, puts dead letters back, and cancels tasks. */
import { fieldOf, isInstance, messageOf } from '../../base/foreign-value.ts';
import type { ClientTaskCourier } from '../../index.ts';
import { queueHelp } from '../help.ts';
import { onStopSignal } from '../stop-signals.ts';
import type { Streams } from '../streams.ts';
import { UsageError } from '../usage-error.ts';
import { courierAt } from './courier-at.ts';
import { isBrokenPipe, Printer } from './printer.ts';
import { parseQueueArguments, type QueueArguments } from './queue-arguments.ts';
import { exportTasks, printInfo, printList } from './queue-reports.ts';

/** Resolves with the exit code. */
export async function queue(argv: readonly string[], streams: Streams): Promise<number> {
  const given = parseQueueArguments(argv);
  if (given === undefined) {
    streams.stdout.write(queueHelp);
    return 0;
  }
  const courier = await courierAt(given.where, given.prefix);
  let stopCode: number | undefined;
  using _signals = onStopSignal((exitCode) => {
    stopCode = exitCode;
    void courier.close(); // what it was asked is rejected
  });
  try {
    return await act(courier, given, new Printer(streams.stdout));
  } catch (error) {
    if (stopCode !== undefined) return stopCode;
    if (isBrokenPipe(error)) return 0;
    if (isInstance(error, TypeError)) throw new UsageError(error.message); // such as a bad name of a queue
    streams.stderr.write(`taskwarden: ${explain(error)}\n`);
    return 1;
  } finally {
    await courier.close();
  }
}

async function act(courier: ClientTaskCourier, given: QueueArguments, printer: Printer): Promise<number> {
  const names = given.queue === undefined ? await courier.getQueueNames() : [given.queue];
  switch (given.action) {
    case 'info':
      await printInfo(courier, names, given, printer);
      return 0;
    case 'list':
      await printList(courier, names, given, printer);
      return 0;
    case 'export':
      await exportTasks(courier, names, given, printer);
      return 0;
    case 'redrive':
      return redrive(courier, names[0] as string, given, printer);
    case 'cancel':
      return cancel(courier, names[0] as string, given, printer);
  }
}

async function redrive(
  courier: ClientTaskCourier,
  name: string,
  { ids, json }: QueueArguments,
  printer: Printer,
): Promise<number> {
  const redriven = await (ids.length > 0 ? courier.redriveTasks(name, ids) : courier.redriveTasks(name));
  await printer.print(json ? `${JSON.stringify({ redriven })}\n` : `${redriven} redriven\n`);
  return redriven < new Set(ids).size ? 1 : 0;
}

async function cancel(
  courier: ClientTaskCourier,
  name: string,
  { ids, json }: QueueArguments,
  printer: Printer,
): Promise<number> {
  let missed = 0;
  for (const id of ids) {
    const canceled = await courier.cancelTask(name, id, 'canceled by taskwarden queue');
    if (!canceled) missed += 1;
    const said = canceled ? 'canceled' : 'not canceled: it has ended, or there is none';
    await printer.print(json ? `${JSON.stringify({ id, canceled })}\n` : `${id}: ${said}\n`);
  }
  return missed > 0 ? 1 : 0;
}

/** In one line, without what an error may show of the server's commands. */
function explain(error: unknown): string {
  const cause = fieldOf(error, 'cause');
  const message = messageOf(error);
  if (cause === undefined) return message;
  const why = messageOf(cause) || String(fieldOf(cause, 'code') ?? 'no reason given');
  return message.includes(why) ? message : `${message} (${why})`;
}
