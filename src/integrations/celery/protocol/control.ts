/** Commands to all workers by their pidbox, and what they answer. */
import { randomUUID } from 'node:crypto';
import { BadMessage, isText, objectOf, readBody, readEnvelope, writeEnvelope } from './envelope.ts';
import { toJson } from './json.ts';

const pidboxExchange = 'celery.pidbox';
const replyExchange = 'reply.celery.pidbox';

export interface ControlCommand {
  readonly method: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The names of the nodes that it is for; undefined: all. */
  readonly destination?: readonly string[] | undefined;
  /** Only for nodes whose names match: the pattern, and how it is read (`glob` or `pcre`). */
  readonly pattern?: string | undefined;
  readonly matcher?: string | undefined;
  /** Where the answers go, if somebody waits for them. */
  readonly reply?: { readonly ticket: string; readonly exchange: string; readonly routingKey: string } | undefined;
}

export interface ReceivedCommand extends ControlCommand {
  /** The sender's Lamport clock. */
  readonly clock: number;
  /** Nobody waits for the answer any more; in epoch milliseconds. */
  readonly expires: number | undefined;
}

/** To be published in the channel of the pidbox. @throws TypeError for what is no JSON. */
export function writeCommand(command: ControlCommand, clock = 1): string {
  const { method, destination, pattern, matcher, reply } = command;
  const body = {
    method,
    arguments: command.arguments,
    destination: destination ?? null,
    pattern: pattern ?? null,
    matcher: matcher ?? null,
    ...(reply && { ticket: reply.ticket, reply_to: { exchange: reply.exchange, routing_key: reply.routingKey } }),
  };
  return writeEnvelope({
    body: toJson(body, `the command ${method}`),
    headers: { clock, expires: 0 },
    exchange: pidboxExchange,
    routingKey: '',
    isTransient: true,
  });
}

/** @throws BadMessage */
export function readCommand(text: string): ReceivedCommand {
  const envelope = readEnvelope(text);
  const body = objectOf(readBody(envelope)) ?? {};
  const { method, destination, pattern, matcher, ticket } = body;
  if (!isText(method)) throw new BadMessage('it names no method', envelope);
  const args = objectOf(body['arguments'] ?? {});
  if (args === undefined) throw new BadMessage(`the arguments of ${JSON.stringify(method)} are no object`, envelope);
  const { exchange, routing_key: routingKey } = objectOf(body['reply_to']) ?? {};
  const { clock, expires } = envelope.headers;
  return {
    method,
    arguments: args,
    destination: Array.isArray(destination) ? destination.filter(isText) : undefined,
    pattern: isText(pattern) ? pattern : undefined,
    matcher: isText(matcher) ? matcher : undefined,
    ...(isText(exchange) &&
      isText(routingKey) && { reply: { ticket: isText(ticket) ? ticket : '', exchange, routingKey } }),
    clock: typeof clock === 'number' ? clock : 0,
    expires: typeof expires === 'number' && expires > 0 ? expires * 1_000 : undefined,
  };
}

/** A node's answer, to be pushed to the queues that are bound to the reply's exchange. */
export function writeReply(
  node: string,
  answer: unknown,
  reply: NonNullable<ControlCommand['reply']>,
  clock: number,
): string {
  return writeEnvelope({
    body: toJson({ [node]: answer }, 'the answer'),
    headers: { ticket: reply.ticket, clock },
    exchange: reply.exchange,
    routingKey: reply.routingKey,
    isTransient: true,
  });
}

/** The answers of the nodes by their names, if it is for this ticket. @throws BadMessage */
export function readReply(text: string, ticket: string): Readonly<Record<string, unknown>> | undefined {
  const envelope = readEnvelope(text);
  return envelope.headers['ticket'] === ticket ? objectOf(readBody(envelope)) : undefined;
}

/** Where the answers to one command are to go: a queue of its own. */
export function newReply(): NonNullable<ControlCommand['reply']> {
  return { ticket: randomUUID(), exchange: replyExchange, routingKey: randomUUID() };
}

/** The queue of `newReply()`; it is bound under the routing key. */
export function replyQueue({ exchange, routingKey }: NonNullable<ControlCommand['reply']>): string {
  return `${routingKey}.${exchange}`;
}
