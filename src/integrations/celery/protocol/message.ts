/** The message of a task: protocol 2 of Celery, which all versions since 4.0 write. */
import { hostname } from 'node:os';
import { BadMessage, type Envelope, type Headers, isText, objectOf, readBody, writeEnvelope } from './envelope.ts';
import { parseTime, pythonArgs, pythonText, timeText, toJson } from './json.ts';

/** What follows a task: signatures, which are checked where they are used. */
interface Embed {
  readonly callbacks: readonly unknown[];
  readonly errbacks: readonly unknown[];
  /** The next one is the last. */
  readonly chain: readonly unknown[];
  readonly chord: unknown;
}

/** In milliseconds. */
interface TimeLimits {
  readonly hardMs: number | undefined;
  readonly softMs: number | undefined;
}

export interface TaskMessage {
  readonly id: string;
  readonly task: string;
  /** As they are in the JSON: see `fromPython()`. */
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly embed: Embed;
  /** Not before. */
  readonly eta: Date | undefined;
  /** Not after. */
  readonly expires: Date | undefined;
  /** How often it has been retried. */
  readonly retries: number;
  readonly timeLimits: TimeLimits;
  readonly rootId: string;
  readonly parentId: string | undefined;
  readonly groupId: string | undefined;
  readonly groupIndex: number | undefined;
  readonly ignoresResult: boolean;
  readonly replyTo: string | undefined;
  readonly envelope: Envelope;
}

/** Ids are parts of keys. */
const maxIdLength = 512;

/** @throws BadMessage */
export function readTaskMessage(envelope: Envelope): TaskMessage {
  const { headers, properties } = envelope;
  const refuse = (reason: string) => new BadMessage(reason, envelope);
  const { id, task } = headers;
  if (task === undefined) throw refuse('it has no header "task": only protocol 2 is read (task_protocol = 2)');
  if (!isText(task) || task === '') throw refuse('its header "task" is no name');
  if (!isId(id)) throw refuse('its header "id" is no id');
  const body = readBody(envelope);
  const [args, kwargs, embed] = Array.isArray(body) ? body : [];
  if (!Array.isArray(args) || objectOf(kwargs) === undefined) throw refuse('its body is not [args, kwargs, embed]');
  const time = (name: 'eta' | 'expires') => {
    const value = headers[name];
    if (value === undefined || value === null) return undefined;
    const date = isText(value) ? parseTime(value) : undefined;
    if (date === undefined) throw refuse(`its header "${name}" is no time`);
    return date;
  };
  const retries = headers['retries'] ?? 0;
  if (!Number.isInteger(retries) || (retries as number) < 0) throw refuse('its header "retries" is no number');
  const { root_id: rootId, parent_id: parentId, group: groupId, group_index: groupIndex } = headers;
  const replyTo = properties['reply_to'];
  return {
    id,
    task,
    args,
    kwargs,
    embed: readEmbed(embed),
    eta: time('eta'),
    expires: time('expires'),
    retries: retries as number,
    timeLimits: readTimeLimits(headers['timelimit']),
    rootId: isId(rootId) ? rootId : id,
    parentId: isId(parentId) ? parentId : undefined,
    groupId: isId(groupId) ? groupId : undefined,
    groupIndex: Number.isInteger(groupIndex) ? (groupIndex as number) : undefined,
    ignoresResult: headers['ignore_result'] === true,
    replyTo: isText(replyTo) ? replyTo : undefined,
    envelope,
  };
}

export function isId(value: unknown): value is string {
  return isText(value) && value !== '' && value.length <= maxIdLength;
}

function readEmbed(value: unknown): Embed {
  const { callbacks, errbacks, chain, chord } = objectOf(value) ?? {};
  return { callbacks: listOf(callbacks), errbacks: listOf(errbacks), chain: listOf(chain), chord: chord ?? undefined };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function readTimeLimits(value: unknown): TimeLimits {
  const [hard, soft] = listOf(value);
  return { hardMs: milliseconds(hard), softMs: milliseconds(soft) };
}

function milliseconds(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : undefined;
}

export interface OutgoingTask {
  readonly id: string;
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  readonly embed?: Partial<Embed>;
  readonly queue: string;
  /** Default: 0, which is first, and what Python's calls have. */
  readonly priority?: number | undefined;
  readonly eta?: Date | undefined;
  readonly expires?: Date | undefined;
  /** Default: 0. */
  readonly retries?: number;
  readonly timeLimits?: Partial<TimeLimits>;
  /** Default: the id. */
  readonly rootId?: string | undefined;
  readonly parentId?: string | undefined;
  readonly groupId?: string | undefined;
  readonly groupIndex?: number | undefined;
  readonly ignoresResult?: boolean;
  readonly replyTo?: string | undefined;
  /** Of a message that is sent on: all that is not said here. */
  readonly headers?: Headers;
}

/** Celery's name for a client: it is shown, and nothing is sent there. */
const origin = `taskwarden${process.pid}@${hostname()}`;

/**
 * The envelope, ready to be pushed to the list of its queue and priority.
 * @throws TypeError for what is no JSON, RangeError if it is too large.
 */
export function writeTaskMessage(message: OutgoingTask): string {
  const { id, task, args, kwargs = {}, embed = {}, queue, priority = 0, eta, expires, retries = 0 } = message;
  const { timeLimits = {}, rootId = id, parentId, groupId, groupIndex, ignoresResult = false, replyTo } = message;
  const body = [args, kwargs].map((each, i) => toJson(each, i === 0 ? 'args' : 'kwargs'));
  const follows = toJson(
    {
      callbacks: orNull(embed.callbacks),
      errbacks: orNull(embed.errbacks),
      chain: orNull(embed.chain),
      chord: embed.chord ?? null,
    },
    'embed',
  );
  return writeEnvelope({
    body: `[${body.join(',')},${follows}]`,
    headers: {
      lang: 'js',
      shadow: null,
      origin,
      ...message.headers,
      compression: undefined,
      task,
      id,
      eta: eta === undefined ? null : timeText(eta),
      expires: expires === undefined ? null : timeText(expires),
      group: groupId ?? null,
      group_index: groupIndex ?? null,
      retries,
      timelimit: [seconds(timeLimits.hardMs), seconds(timeLimits.softMs)],
      root_id: rootId,
      parent_id: parentId ?? null,
      argsrepr: pythonArgs(args),
      kwargsrepr: pythonText(kwargs),
      ignore_result: ignoresResult,
    },
    exchange: '',
    routingKey: queue,
    priority,
    correlationId: id,
    ...(replyTo !== undefined && { replyTo }),
  });
}

function orNull(list: readonly unknown[] | undefined): readonly unknown[] | null {
  return list === undefined || list.length === 0 ? null : list;
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : ms / 1_000;
}
