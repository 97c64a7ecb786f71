/**
 * The pidbox of a worker: commands that programs of Celery send to all workers, or to this one, and the answers. A command
 * that is malformed is reported, and changes nothing.
 */
import { courierKit } from '../../../../index.ts';
import type { Client } from '../../../redis-client.ts';
import {
  type ControlCommand,
  newReply,
  type ReceivedCommand,
  readCommand,
  readReply,
  replyQueue,
  writeCommand,
  writeReply,
} from '../../protocol/control.ts';
import { bindingMember, boundQueues, type Names } from '../../protocol/names.ts';
import type { LamportClock } from '../events/lamport-clock.ts';

const { messageOf } = courierKit;

/** The pattern that all workers of taskwarden answer to, whatever their names are: for commands that Python does not know. */
const ours = 'taskwarden*';

/** Carries a command out. What it returns is the answer; what it throws is the error that the sender gets. */
export type CommandHandler = (args: Readonly<Record<string, unknown>>) => unknown;

export interface PidboxOptions {
  readonly client: Client;
  readonly names: Names;
  readonly workerName: string;
  readonly clock: LamportClock;
  readonly handlers: Readonly<Record<string, CommandHandler>>;
  readonly onProblem: (problem: unknown) => void;
}

export class Pidbox {
  readonly #options: PidboxOptions;

  constructor(options: PidboxOptions) {
    this.#options = options;
  }

  /** Takes what was published in the channel of all workers. */
  async receive(text: string): Promise<void> {
    const { clock, onProblem } = this.#options;
    try {
      const command = readCommand(text);
      clock.adjust(command.clock);
      if (!this.#isMeant(command) || (command.expires ?? Infinity) < Date.now()) return;
      const answer = this.#carryOut(command);
      if (command.reply !== undefined && answer !== undefined) await this.#answer(answer, command.reply);
    } catch (error) {
      onProblem(error);
    }
  }

  #isMeant({ destination, pattern, matcher }: ReceivedCommand): boolean {
    const { workerName } = this.#options;
    if (destination !== undefined && destination.length > 0) return destination.includes(workerName);
    if (pattern === undefined || matcher === undefined) return true;
    if (pattern === ours) return true;
    return matcher === 'glob' && matchesGlob(workerName, pattern); // an expression could take for ever
  }

  #carryOut({ method, arguments: args }: ReceivedCommand): unknown {
    const { handlers } = this.#options;
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
    if (handler === undefined)
      return { error: `a CeleryWorker has no command ${JSON.stringify(method.slice(0, 100))}` };
    try {
      return handler(args);
    } catch (error) {
      return { error: messageOf(error) };
    }
  }

  async #answer(answer: unknown, reply: NonNullable<ControlCommand['reply']>): Promise<void> {
    const { client, names, workerName, clock } = this.#options;
    const text = writeReply(workerName, answer, reply, clock.forward());
    const members = await client.call((redis) => redis.smembers(names.binding(reply.exchange)));
    for (const queue of boundQueues(members, reply.routingKey)) {
      await client.call((redis) => redis.lpush(names.list(queue), text));
    }
  }

  /**
   * Asks all other workers, and resolves with what they answer within that time, in milliseconds, by their names.
   * @param blocking A connection that nothing else uses meanwhile.
   */
  async ask(
    method: string,
    args: Readonly<Record<string, unknown>>,
    waitMs: number,
    blocking: Client,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { client, names, clock } = this.#options;
    const reply = newReply();
    const queue = replyQueue(reply);
    const list = names.list(queue);
    const member = bindingMember(reply.routingKey, queue);
    const answers: Record<string, unknown> = {};
    const until = Date.now() + waitMs;
    try {
      await client.call((redis) => redis.sadd(names.binding(reply.exchange), member));
      const text = writeCommand({ method, arguments: args, reply }, clock.forward());
      const hearers = await client.call((redis) => redis.publish(names.pidbox, text));
      // This worker is one of them.
      for (let left = hearers - 1; left > 0; left -= 1) {
        const leftMs = until - Date.now();
        if (leftMs <= 0) break;
        const popped = await blocking.call((redis) => redis.brpop(list, leftMs / 1_000));
        if (popped === null) break;
        Object.assign(answers, readReply(popped[1], reply.ticket));
      }
    } finally {
      await client.call((redis) => redis.multi().srem(names.binding(reply.exchange), member).del(list).exec());
    }
    return answers;
  }
}

/** `*` is any text, `?` any character. It takes no more steps than the lengths of both, multiplied. */
function matchesGlob(text: string, pattern: string): boolean {
  let [at, place] = [0, 0];
  let star: { readonly at: number; readonly place: number } | undefined;
  while (at < text.length) {
    if (pattern[place] === '*') {
      star = { at, place };
      place += 1;
    } else if (pattern[place] === '?' || pattern[place] === text[at]) {
      at += 1;
      place += 1;
    } else if (star !== undefined) {
      star = { at: star.at + 1, place: star.place }; // the star takes one more
      at = star.at;
      place = star.place + 1;
    } else return false;
  }
  while (pattern[place] === '*') place += 1;
  return place === pattern.length;
}
