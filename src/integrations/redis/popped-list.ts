/**
 * What one controller has popped from a list and the task has not taken: kept in a list beside it, `<key>:taskwarden:<id>`,
 * so that it outlives this process. The ids are in the set `<key>:taskwarden`, and each is the name of a connection: one
 * whose connection is gone has nobody, and what it has popped goes back.
 */
import { randomUUID } from 'node:crypto';
import { type Client, NotAnswered } from '../redis-client.ts';

/** A pop waits no longer, and is then sent again, so that a dead connection is noticed. */
const popSeconds = 5;

export class PoppedList {
  readonly id: string = randomUUID();
  readonly #key: string;
  #connectionId = 0;
  #isUsed = false;
  #isPopping = false;
  /** Redis may have popped something whose answer was lost. */
  #isUnsure = false;

  constructor(key: string) {
    this.#key = key;
  }

  get name(): string {
    return nameOf(this.id);
  }

  /** The id that Redis has given to the connection of the last pop. */
  get connectionId(): number {
    return this.#connectionId;
  }

  /** Whether Redis was ever asked for an item. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Whether Redis may be waiting for one. */
  get isPopping(): boolean {
    return this.#isPopping;
  }

  get #own(): string {
    return this.#listOf(this.id);
  }

  get #ids(): string {
    return `${this.#key}:taskwarden`;
  }

  #listOf(id: string): string {
    return `${this.#ids}:${id}`;
  }

  /** What was popped by controllers that are no more goes back. */
  async recover(client: Client): Promise<void> {
    const ids = await client.insist((redis) => redis.smembers(this.#ids));
    if (ids.length === 0) return;
    const clients = await client.insist((redis) => redis.client('LIST') as Promise<string>);
    const names = new Set(clients.match(/(?<= name=)\S+/g));
    for (const id of ids) if (!names.has(nameOf(id))) await this.#putBack(client, id);
  }

  /** The next item; undefined where none came within some seconds. It is asked for again until it was removed. */
  async pop(client: Client): Promise<string | undefined> {
    let isWaiting = false;
    try {
      const again = this.#isUnsure ? await client.call((redis) => redis.lindex(this.#own, -1)) : null;
      this.#isUnsure = false;
      if (again !== null) return again;
      return await client.call(async (redis) => {
        this.#isUsed = true;
        this.#isUnsure = true;
        this.#isPopping = true;
        const [, , , item] = await Promise.all([
          redis.client('SETNAME', this.name).catch(() => {}), // it may have had no right to when it connected
          redis.sadd(this.#ids, this.id), // it may have been taken for dead when its connection was
          redis.client('ID').then((id) => {
            this.#connectionId = id;
            isWaiting = true;
          }),
          redis.blmove(this.#key, this.#own, 'RIGHT', 'LEFT', popSeconds),
        ]);
        this.#isUnsure = false;
        client.admit();
        return item ?? undefined;
      });
    } catch (error) {
      if (!(error instanceof NotAnswered)) throw error;
      if (isWaiting) client.admit(); // a pop that is not let is refused at once
      return undefined;
    } finally {
      this.#isPopping = false;
    }
  }

  /** The task has taken it. */
  async remove(client: Client): Promise<void> {
    await client.insist((redis) => redis.del(this.#own));
  }

  /** What the task has not taken goes to where it was popped from. */
  async close(client: Client): Promise<void> {
    await this.#putBack(client, this.id);
  }

  async #putBack(client: Client, id: string): Promise<void> {
    for (;;) {
      const moved = await client.insist((redis) => redis.lmove(this.#listOf(id), this.#key, 'LEFT', 'RIGHT'));
      if (moved === null) break;
    }
    await client.insist((redis) => redis.srem(this.#ids, id));
  }
}

function nameOf(id: string): string {
  return `taskwarden:${id}`;
}
