/**
 * The parts of chords in the result backend, as Celery's Redis backend counts them: each task of a header adds its result,
 * and the one that completes it sends the body.
 */
import type { Client } from '../../../redis-client.ts';
import { isText, objectOf } from '../../protocol/envelope.ts';
import { chordError } from '../../protocol/exceptions.ts';
import { pythonText, toJson } from '../../protocol/json.ts';
import type { Names } from '../../protocol/names.ts';
import type { StoredException } from '../../protocol/result.ts';

/** A part that has ended. */
export interface ChordPart {
  readonly taskId: string;
  readonly groupId: string;
  readonly groupIndex: number | undefined;
  readonly state: string;
  /** The result, or the exception. */
  readonly result: unknown;
}

export type ChordEnd =
  | { readonly kind: 'results'; readonly results: readonly unknown[] }
  | { readonly kind: 'failed'; readonly exception: StoredException };

/** KEYS: parts, more, size. ARGV: the part, its place, seconds. Returns the parts if they are all there; those of kombu's other form are a list. */
const addScript = `
local kind = redis.call('TYPE', KEYS[1]).ok
local count
if kind == 'list' then
  redis.call('RPUSH', KEYS[1], ARGV[1])
  count = redis.call('LLEN', KEYS[1])
else
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  count = redis.call('ZCARD', KEYS[1])
end
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[3]) end
local size = redis.call('GET', KEYS[3])
if not size or count ~= tonumber(size) + tonumber(redis.call('GET', KEYS[2]) or 0) then return false end
if kind == 'list' then return redis.call('LRANGE', KEYS[1], 0, -1) end
return redis.call('ZRANGE', KEYS[1], 0, -1)`;

export class Chords {
  readonly #backend: Client;
  readonly #names: Names;
  readonly #keptSeconds: number;

  constructor(backend: Client, names: Names, keptSeconds: number) {
    this.#backend = backend;
    this.#names = names;
    this.#keptSeconds = keptSeconds;
  }

  #keys(groupId: string): readonly [string, string, string] {
    const parts = this.#names.chord(groupId);
    const base = parts.slice(0, -1);
    return [parts, `${base}t`, `${base}s`];
  }

  async setSize(groupId: string, size: number): Promise<void> {
    const [, , key] = this.#keys(groupId);
    await this.#backend.insist((redis) => redis.setex(key, this.#keptSeconds, size));
  }

  /** Adds a part; adding it again changes nothing. Resolves with the end of the chord if it is complete. */
  async add({ taskId, groupId, groupIndex, state, result }: ChordPart): Promise<ChordEnd | undefined> {
    const part = toJson([1, taskId, state, result ?? null], 'the result');
    const parts = (await this.#backend.insist((redis) =>
      redis.eval(addScript, 3, ...this.#keys(groupId), part, groupIndex ?? '+inf', this.#keptSeconds),
    )) as readonly string[] | null;
    if (parts === null) return undefined;
    const isNested = await this.#backend.insist((redis) => redis.exists(this.#keys(groupId)[0].slice(0, -2)));
    if (isNested === 1) return { kind: 'failed', exception: chordError("a CeleryWorker can't end a chord of groups") };
    return endOf(parts);
  }

  /** Forgets the parts. Called when the body was sent. */
  async forget(groupId: string): Promise<void> {
    await this.#backend.insist((redis) => redis.del(...this.#keys(groupId)));
  }
}

function endOf(parts: readonly string[]): ChordEnd {
  const results: unknown[] = [];
  for (const text of parts) {
    const [, taskId, state, result] = JSON.parse(text) as [number, string, string, unknown];
    if (state === 'FAILURE' || state === 'REVOKED') {
      return { kind: 'failed', exception: chordError(`Dependency ${taskId} raised ${shown(result)}`) };
    }
    results.push(result);
  }
  return { kind: 'results', results };
}

function shown(exception: unknown): string {
  const { exc_type: type, exc_message: message } = objectOf(exception) ?? {};
  const args = Array.isArray(message) ? message.map((each) => pythonText(each)).join(', ') : pythonText(message);
  return `${isText(type) ? type : 'Exception'}(${args})`;
}
