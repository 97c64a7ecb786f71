/** A wave of uploads: sends them, so many at a time, looks at each until it has ended, and notes all that is not as it should be. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { UploadRecord } from '../records.ts';
import { type Body, bodyOf } from './bodies.ts';
import type { Client } from './client.ts';

export interface WaveOptions {
  readonly client: Client;
  /** How many uploads there are. */
  readonly count: number;
  /** How many are sent at a time. */
  readonly senders: number;
  readonly onAccepted?: (accepted: number) => void;
  readonly onEnded?: (ended: number) => void;
}

/** How many ask what has become of uploads, each of one at a time. */
const askers = 4;
/** Between two questions about one upload. */
const pauseMs = 10;
/** Far more than an upload takes: one that has not ended by then is lost. */
const patienceMs = 30_000;

export class Wave {
  readonly #options: WaveOptions;
  /** What was accepted, and has not been asked about. */
  readonly #accepted: { readonly id: string; readonly body: Body }[] = [];
  readonly ids = new Set<string>();
  #sent = 0;
  #ended = 0;
  #isOver = false;
  done = 0;
  failed = 0;
  /** How often the service had no room. */
  refused = 0;
  bytes = 0;
  /** How long it took to be accepted, and from then to the end. */
  readonly acceptMs: number[] = [];
  readonly workMs: number[] = [];
  readonly problems: string[] = [];

  constructor(options: WaveOptions) {
    this.#options = options;
  }

  /** Sends no more. */
  stop(): void {
    this.#isOver = true;
  }

  /** Resolves when all that was accepted has ended, and was looked at. */
  async run(): Promise<this> {
    let isSending = true;
    const sending = Promise.all(Array.from({ length: this.#options.senders }, () => this.#send())).finally(() => {
      isSending = false;
    });
    const ask = async () => {
      while (isSending || this.#accepted.length > 0) {
        const next = this.#accepted.shift();
        if (next === undefined) await sleep(pauseMs);
        else await this.#follow(next.id, next.body);
      }
    };
    await Promise.all([sending, ...Array.from({ length: askers }, ask)]);
    return this;
  }

  async #send(): Promise<void> {
    const { client, count } = this.#options;
    while (this.#sent < count && !this.#isOver) {
      const n = this.#sent;
      this.#sent += 1;
      const body = bodyOf(n, count);
      while (!this.#isOver) {
        const sentAt = performance.now();
        const answer = await client.post('/uploads', body.content);
        if (answer.status === 202) {
          this.acceptMs.push(performance.now() - sentAt);
          this.#accept(answer.body as UploadRecord, answer.headers['location'], body);
          break;
        }
        if (answer.status !== 503) throw new Error(`upload ${n} was answered ${answer.status}`);
        this.refused += 1;
        if (!this.#isOver) await sleep(Number(answer.headers['retry-after']) * 1_000);
      }
    }
  }

  #accept({ id }: UploadRecord, location: unknown, body: Body): void {
    if (this.ids.has(id)) this.problems.push(`${id}: two uploads have this id`);
    if (location !== `/uploads/${id}`) this.problems.push(`${id}: its location is ${location}`);
    this.ids.add(id);
    this.bytes += body.content.length;
    this.#accepted.push({ id, body });
    this.#options.onAccepted?.(this.ids.size);
  }

  async #follow(id: string, body: Body): Promise<void> {
    const givenUpAt = performance.now() + patienceMs;
    while (performance.now() < givenUpAt) {
      const { status, body: record } = await this.#options.client.get(`/uploads/${id}`);
      if (status !== 200) {
        this.problems.push(`${id}: was lost, the answer is ${status}`);
        return;
      }
      if ('timeFinished' in (record as UploadRecord)) {
        this.#check(record as UploadRecord, body);
        return;
      }
      await sleep(pauseMs);
    }
    this.problems.push(`${id}: has not ended`);
  }

  #check(record: UploadRecord, { content, expected }: Body): void {
    this.#ended += 1;
    this.#options.onEnded?.(this.#ended);
    if ('timeFinished' in record) this.workMs.push(record.timeFinished - record.timeAccepted);
    if (record.status === 'done') {
      this.done += 1;
      const isRight = record.bytes === content.length && isDeepStrictEqual(record.result, expected);
      if (!isRight) this.problems.push(`${record.id}: a wrong result, ${JSON.stringify(record)}`);
    } else if (record.status === 'failed') {
      this.failed += 1;
      const isRight = expected === undefined && record.error.message.startsWith('not a text');
      if (!isRight) this.problems.push(`${record.id}: has failed, ${JSON.stringify(record.error)}`);
    }
  }
}
