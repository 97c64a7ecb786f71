/**
 * The messages of a worker in Redis: taken, renewed, ended and given back as kombu does it, so that workers in Python can go
 * on with them. Each step is one script: no message is lost when the worker dies between two.
 */
import { type Client, NotAnswered } from '../../../redis-client.ts';
import { maxMessageBytes } from '../../protocol/envelope.ts';
import { boundQueues, type Names } from '../../protocol/names.ts';
import { storeScript } from '../../protocol/result.ts';
import { renewScript, requeueScript, settleScript, takenScript, takeScript } from './broker-scripts.ts';
import { type Delivery, markRedelivered, newScore, redelivered } from './delivery.ts';

/** How many messages one script may touch. */
const mostAtOnce = 500;

/** A message that is to be sent. */
export interface Outgoing {
  readonly list: string;
  readonly text: string;
}

/** How a message ends. */
export interface Settlement {
  /** Whose result it is. */
  readonly taskId: string;
  /** The record of the result; undefined: none is stored. */
  readonly record?: string | undefined;
  /** Sent at once with the result. */
  readonly follows?: readonly Outgoing[];
}

export interface BrokerOptions {
  readonly broker: Client;
  /** May be the same as the broker. */
  readonly backend: Client;
  readonly names: Names;
  /** How long results are kept, in milliseconds. */
  readonly resultTtlMs: number;
}

export class Broker {
  readonly names: Names;
  readonly client: Client;
  readonly #backend: Client;
  readonly #keptSeconds: number;
  /** The score of a `take()` whose answer was lost. */
  #unanswered: number | undefined;

  constructor({ broker, backend, names, resultTtlMs }: BrokerOptions) {
    this.client = broker;
    this.#backend = backend;
    this.names = names;
    this.#keptSeconds = Math.max(1, Math.ceil(resultTtlMs / 1_000));
  }

  get #indices(): readonly [string, string] {
    return [this.names.unackedIndex, this.names.unacked];
  }

  /**
   * Takes at most so many messages, those of the first queue and the first priority first.
   * @throws NotAnswered; then the next call gives back what may have been taken.
   */
  async take(queues: readonly string[], max: number): Promise<readonly Delivery[]> {
    await this.#giveBackUnanswered();
    const lists = this.names.lists(queues);
    const score = newScore();
    this.#unanswered = score;
    const taken = (await this.client.call((redis) =>
      redis.eval(takeScript, lists.length + 2, ...this.#indices, ...lists, score, max, maxMessageBytes),
    )) as readonly (string | number)[];
    this.#unanswered = undefined;
    const deliveries: Delivery[] = [];
    for (let i = 0; i < taken.length; i += 3) {
      const place = Number(taken[i]);
      const list = lists[place] as string;
      const queue = queues[place % queues.length] as string;
      const [tag, text] = [String(taken[i + 1]), String(taken[i + 2])];
      deliveries.push({ tag, text, list, queue, score, nextScore: score, isAcknowledged: tag === '' });
    }
    return deliveries;
  }

  async #giveBackUnanswered(): Promise<void> {
    const score = this.#unanswered;
    if (score === undefined) return;
    const tags = (await this.client.call((redis) =>
      redis.eval(takenScript, 1, this.names.unackedIndex, score),
    )) as readonly string[];
    for (const tag of tags) await this.restore(tag, score);
    this.#unanswered = undefined;
  }

  /**
   * Gives a message of any worker back to its queue, to be taken first, if it still has that score.
   * @returns Whether it did.
   */
  async restore(tag: string, score: number): Promise<boolean> {
    const kept = await this.client.call((redis) => redis.hget(this.names.unacked, tag));
    if (kept === null) return this.#requeue(tag, [score, score], '', '', 'first');
    const { message, exchange, routingKey, priority } = readUnacked(kept);
    const queues =
      exchange === ''
        ? [routingKey]
        : boundQueues(await this.client.call((redis) => redis.smembers(this.names.binding(exchange))), routingKey);
    const [queue] = queues;
    if (queue === undefined || queue === '') return false; // kombu knows more kinds of exchanges
    return this.#requeue(tag, [score, score], this.names.list(queue, priority), message, 'first');
  }

  /** Gives a message of this worker back. */
  async requeue(delivery: Delivery, place: 'first' | 'last'): Promise<void> {
    const tag = delivery.isAcknowledged ? '' : delivery.tag;
    const text = redelivered(delivery.text);
    await insist(() => this.#requeue(tag, [delivery.score, delivery.nextScore], delivery.list, text, place));
    delivery.isAcknowledged = true;
  }

  async #requeue(
    tag: string,
    scores: readonly [number, number],
    list: string,
    text: string,
    place: 'first' | 'last',
  ): Promise<boolean> {
    const done = await this.client.call((redis) =>
      redis.eval(requeueScript, 3, ...this.#indices, list, tag, ...scores, text, place),
    );
    return done === 1;
  }

  /** Says that the messages are still being worked on. Returns those that another worker has now. */
  async renew(deliveries: readonly Delivery[]): Promise<readonly Delivery[]> {
    const lost: Delivery[] = [];
    for (let first = 0; first < deliveries.length; first += mostAtOnce) {
      const some = deliveries.slice(first, first + mostAtOnce).filter(({ isAcknowledged }) => !isAcknowledged);
      const score = newScore();
      const pairs = some.flatMap((each) => [each.tag, each.score]);
      for (const each of some) each.nextScore = score; // what is ended meanwhile is looked for under both
      const tags = (await this.client.insist((redis) =>
        redis.eval(renewScript, 1, this.names.unackedIndex, score, ...pairs),
      )) as readonly string[];
      const others = new Set(tags);
      for (const each of some) {
        if (!others.has(each.tag)) each.score = score;
        else if (!each.isAcknowledged) lost.push(each);
      }
    }
    return lost;
  }

  /** The broker forgets the message. Returns false if another worker has it. */
  acknowledge(delivery: Delivery): Promise<boolean> {
    return this.settle(delivery, { taskId: '' });
  }

  /** Ends the message, if this worker has it still. Waits for as long as Redis can't be reached. */
  async settle(delivery: Delivery, { taskId, record, follows = [] }: Settlement): Promise<boolean> {
    const isOneServer = this.#backend === this.client;
    if (record !== undefined && !isOneServer) await this.store(taskId, record);
    const key = this.names.result(taskId);
    const lists = follows.map(({ list }) => list);
    const texts = follows.map(({ text }) => text);
    const tag = delivery.isAcknowledged ? '' : delivery.tag;
    const stored = isOneServer ? (record ?? '') : '';
    if (tag === '' && stored === '' && follows.length === 0) return true;
    let mayBeDone = false;
    const done = await insist(
      () =>
        this.client.call((redis) =>
          redis.eval(
            settleScript,
            lists.length + 3,
            ...this.#indices,
            key,
            ...lists,
            tag,
            delivery.score,
            delivery.nextScore,
            stored,
            this.#keptSeconds,
            ...texts,
          ),
        ),
      () => {
        mayBeDone = true;
      },
    );
    delivery.isAcknowledged = true;
    return done === 1 || mayBeDone;
  }

  /** Stores and publishes a record, unless the task has succeeded already. */
  async store(taskId: string, record: string): Promise<void> {
    const key = this.names.result(taskId);
    await this.#backend.insist((redis) => redis.eval(storeScript, 1, key, record, this.#keptSeconds));
  }

  /** Only publishes it, to those who wait for the task now. */
  async publish(taskId: string, record: string): Promise<void> {
    await this.#backend.insist((redis) => redis.publish(this.names.result(taskId), record));
  }
}

/** Calls until it is answered. @param onUnanswered Called when it may have been done, or not. */
async function insist<T>(call: () => Promise<T>, onUnanswered: () => void = () => {}): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof NotAnswered)) throw error;
      onUnanswered();
    }
  }
}

interface UnackedMessage {
  readonly message: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly priority: number;
}

/** What kombu keeps of a message: `[message, exchange, routing key]`. */
function readUnacked(text: string): UnackedMessage {
  const [message, exchange, routingKey] = JSON.parse(text);
  const priority: unknown = message?.properties?.priority;
  return {
    message: JSON.stringify(markRedelivered(message)),
    exchange: String(exchange ?? ''),
    routingKey: String(routingKey ?? ''),
    priority: typeof priority === 'number' ? priority : 0,
  };
}
