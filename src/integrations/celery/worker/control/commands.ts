/** What programs of Celery can ask of a worker, and tell it: the names, arguments and answers are those of Celery. */
import { isText, objectOf } from '../../protocol/envelope.ts';
import type { EventSender } from '../events/event-sender.ts';
import type { Heartbeat } from '../events/heartbeat.ts';
import type { LamportClock } from '../events/lamport-clock.ts';
import type { RunLimits } from '../request/execution.ts';
import type { Request } from '../request/request.ts';
import type { Requests } from '../request/requests.ts';
import type { RevokedIds } from '../request/revoked-ids.ts';
import type { Slots } from '../request/slots.ts';
import type { CommandHandler } from './pidbox.ts';
import { parseRate, type Rates } from './rates.ts';

export interface Controlled {
  readonly workerName: string;
  readonly queues: readonly string[];
  /** The names of the functions. */
  readonly tasks: readonly string[];
  readonly requests: Requests;
  readonly revoked: RevokedIds;
  readonly slots: Slots;
  readonly rates: Rates;
  readonly limits: Map<string, RunLimits>;
  readonly events: EventSender;
  readonly heartbeat: Heartbeat;
  readonly clock: LamportClock;
  /** By function: how many have run. */
  readonly counts: ReadonlyMap<string, number>;
  /** Where the broker is, without its password. */
  readonly broker: Readonly<Record<string, unknown>>;
  readonly stop: () => void;
}

const ok = (message: unknown) => ({ ok: message });
const nok = (message: string) => ({ error: message });

function listOf(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(isText);
}

function secondsIn(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value * 1_000 : undefined;
}

function countIn({ n = 1 }: Readonly<Record<string, unknown>>): number {
  const count = Number(n);
  if (!Number.isInteger(count) || count < 0) throw new TypeError('n must be a whole number, 0 or more');
  return count;
}

const infosOf = (requests: readonly Request[]) => requests.map(({ info }) => info);

/** What a worker says of itself. */
function inspections(parts: Controlled): Record<string, CommandHandler> {
  const { requests, revoked, workerName } = parts;
  const started = Date.now();
  const active = () => infosOf(requests.in('active'));
  const reserved = () => infosOf(requests.in('received', 'reserved'));
  const scheduled = () =>
    requests.in('scheduled').map(({ info, message }) => ({
      eta: message.eta?.toISOString() ?? null,
      priority: 6,
      request: info,
    }));
  const registered = () => [...parts.tasks].sort();
  return {
    ping: () => ok('pong'),
    active,
    dump_active: active,
    reserved,
    dump_reserved: reserved,
    scheduled,
    dump_schedule: scheduled,
    revoked: () => revoked.ids,
    dump_revoked: () => revoked.ids,
    registered,
    dump_tasks: registered,
    query_task: ({ ids }) =>
      Object.fromEntries(requests.withId(...listOf(ids)).map((each) => [each.id, stateOf(each)])),
    clock: () => ({ clock: parts.clock.value }),
    stats: () => ({
      total: Object.fromEntries(parts.counts),
      pid: process.pid,
      clock: String(parts.clock.value),
      uptime: Math.round((Date.now() - started) / 1_000),
      pool: { implementation: 'taskwarden', 'max-concurrency': parts.slots.limit, processes: [process.pid] },
      broker: parts.broker,
      prefetch_count: parts.slots.limit,
      rusage: { maxrss: process.resourceUsage().maxRSS },
    }),
    active_queues: () => parts.queues.map(queueInfo),
    report: () =>
      ok(
        [
          `software -> taskwarden:CeleryWorker node:${process.versions.node}`,
          `platform -> system:${process.platform} arch:${process.arch}`,
          `worker -> ${workerName} queues:${parts.queues.join(',')}`,
        ].join('\n'),
      ),
    conf: () => ({ worker: workerName, task_queues: parts.queues, accept_content: ['json'], task_serializer: 'json' }),
  };
}

function stateOf({ state, info }: Request): readonly unknown[] {
  return [state === 'active' ? 'active' : 'reserved', info];
}

function queueInfo(name: string): Readonly<Record<string, unknown>> {
  const common = { durable: true, auto_delete: false };
  return {
    name,
    exchange: { name, type: 'direct', ...common, arguments: null },
    routing_key: name,
    queue_arguments: null,
    binding_arguments: null,
    consumer_arguments: null,
    ...common,
    exclusive: false,
    no_ack: false,
    alias: null,
    bindings: [],
    no_declare: null,
    expires: null,
    message_ttl: null,
    max_length: null,
    max_length_bytes: null,
    max_priority: null,
  };
}

/** What a worker can be told about tasks. */
function taskCommands({ requests, revoked, rates, limits, tasks }: Controlled): Record<string, CommandHandler> {
  const revoke: CommandHandler = ({ task_id: given, terminate }) => {
    const ids = listOf(given);
    for (const id of ids) revoked.add(id);
    const ended: string[] = [];
    for (const request of requests.withId(...ids)) {
      const isActive = request.state === 'active';
      if (isActive && terminate !== true) continue;
      request.decide({ kind: 'revoked', reason: isActive ? 'terminated' : 'revoked' });
      ended.push(request.id);
    }
    if (terminate !== true) return ok(`tasks ${ids.join(', ')} flagged as revoked`);
    return ok(ended.length === 0 ? 'terminate: tasks unknown' : `terminate: ${ended.join(', ')}`);
  };
  const ofTask = (given: unknown, act: (request: Request) => void) => {
    const found = requests.withId(...listOf(given)).filter(({ state }) => state !== 'ended');
    for (const request of found) act(request);
    return found.length === 0 ? nok('unknown task') : ok(found.length);
  };
  return {
    revoke,
    terminate: (args) => revoke({ ...args, terminate: true }),
    rate_limit: ({ task_name: task, rate_limit: rate }) => {
      const intervalMs = parseRate(rate);
      if (intervalMs === undefined) return nok(`Invalid rate limit string: ${JSON.stringify(rate)}`);
      if (!isText(task) || !tasks.includes(task)) return nok('unknown task');
      rates.set(task, intervalMs);
      return ok(intervalMs === 0 ? 'rate limit disabled successfully' : 'new rate limit set successfully');
    },
    time_limit: ({ task_name: task, hard, soft }) => {
      if (!isText(task) || !tasks.includes(task)) return nok('unknown task');
      limits.set(task, { hardMs: secondsIn(hard), softMs: secondsIn(soft) });
      return ok('time limits set successfully');
    },
    // Of taskwarden, for a task that is the body of a job: see celeryTask().
    send_to_task: ({ task_id: id, data }) => ofTask(id, (request) => request.send(data)),
    stop_task: ({ task_id: id }) => ofTask(id, (request) => request.stop()),
  };
}

/** All commands by their names. */
export function commandsOf(parts: Controlled): Readonly<Record<string, CommandHandler>> {
  const { slots, events, heartbeat, clock, revoked, workerName } = parts;
  return {
    ...inspections(parts),
    ...taskCommands(parts),
    enable_events: () => {
      const was = events.sendsTaskEvents;
      events.sendsTaskEvents = true;
      return ok(was ? 'task events already enabled' : 'task events enabled');
    },
    disable_events: () => {
      const was = events.sendsTaskEvents;
      events.sendsTaskEvents = false;
      return ok(was ? 'task events disabled' : 'task events already disabled');
    },
    heartbeat: () => void heartbeat.beat(),
    pool_grow: (args) => {
      slots.limit += countIn(args);
      return ok('pool will grow');
    },
    pool_shrink: (args) => {
      const count = countIn(args);
      if (slots.limit - count < 1) throw new RangeError("Can't shrink pool. All processes busy!");
      slots.limit -= count;
      return ok('pool will shrink');
    },
    shutdown: () => parts.stop(),
    hello: ({ from_node: from, revoked: others }) => {
      if (from === workerName) return undefined;
      for (const id of Object.keys(objectOf(others) ?? {})) revoked.add(id);
      return { revoked: revokedForPython(revoked), clock: clock.forward() };
    },
  };
}

/** With the times that Python's workers keep: seconds of the monotonic clock, never a whole number. */
export function revokedForPython(revoked: RevokedIds): Readonly<Record<string, number>> {
  const seconds = Math.floor(Number(process.hrtime.bigint()) / 1e9) + 0.5;
  return Object.fromEntries(revoked.ids.map((id) => [id, seconds]));
}
