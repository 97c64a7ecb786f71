/**
 * What happens to the tasks of a queue, made of BullMQ's events. Some of them say too little: what they lack is looked up, for
 * many at a time, and they are delivered in order. If more come than can be looked up, the rest is dropped, and that is told.
 */
import type { Job } from 'bullmq';
import { courierKit, type QueueEvent } from '../../../index.ts';
import { isCanceledText, keyOf, nameOf, progressOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import { releasedEvent } from '../server/server.ts';
import type { BullEvent, EventListener } from './event-reader.ts';

const { callSafely } = courierKit;

type Listener = (event: QueueEvent) => void;

interface Pending {
  readonly event: BullEvent;
  readonly time: number;
}

/** What is remembered of a task. */
interface Known {
  readonly name: string | undefined;
  readonly key: string | undefined;
  /** It was just added: the event of its place follows. */
  isNew: boolean;
  /** How many of its retries were told. */
  failures: number;
  /** It is about to be given back. */
  isReleased: boolean;
}

const mostPending = 10_000;
const mostKnown = 10_000;
const atOnce = 500;

export class QueueFeed implements EventListener {
  readonly #queue: string;
  readonly #find: (id: string) => Promise<Job | undefined>;
  readonly #listeners = new Set<Listener>();
  readonly #known = new Map<string, Known>();
  #pending: Pending[] = [];
  #isDraining = false;
  #hasMissed = false;
  /** What was told last of the queue itself; undefined if that is not known. */
  #lastPause: 'paused' | 'resumed' | undefined;

  /** @param find Looks a job up. */
  constructor(queue: string, find: (id: string) => Promise<Job | undefined>) {
    this.#queue = queue;
    this.#find = find;
  }

  subscribe(listener: Listener): () => void {
    const own: Listener = (event) => listener(event);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) this.close();
    };
  }

  onEvent(event: BullEvent, time: number): void {
    if (this.#listeners.size === 0 || !(isOfTask(event) || isPause(event))) return;
    if (this.#pending.length >= mostPending) {
      this.#hasMissed = true;
      return;
    }
    this.#pending.push({ event, time });
    void this.#drain();
  }

  onGap(): void {
    if (this.#listeners.size === 0) return;
    this.#hasMissed = true;
    void this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      while (this.#pending.length > 0) {
        const batch = this.#pending.splice(0, atOnce);
        const jobs = await this.#lookUp(batch);
        for (const [place, { event, time }] of batch.entries()) {
          if (isStall(event, batch[place + 1]?.event)) continue;
          if (isPause(event)) {
            this.#tellPause(event.event, time);
            continue;
          }
          const read = this.#read(event, time, jobs.get(event.jobId as string));
          if (read !== undefined) this.#publish(read);
        }
        if (this.#pending.length < mostPending) this.#tellMissed();
      }
      this.#tellMissed();
    } finally {
      this.#isDraining = false;
    }
  }

  /** BullMQ tells each call, also one that has changed nothing. */
  #tellPause(kind: 'paused' | 'resumed', time: number): void {
    if (this.#lastPause === kind) return;
    this.#lastPause = kind;
    this.#publish({ kind, queue: this.#queue, time });
  }

  #tellMissed(): void {
    if (!this.#hasMissed) return;
    this.#hasMissed = false;
    this.#lastPause = undefined;
    this.#publish({ kind: 'missed', queue: this.#queue, time: Date.now() });
  }

  /** Those of whose task nothing is known, and those that may be of a retry. */
  async #lookUp(batch: readonly Pending[]): Promise<Map<string, Job | undefined>> {
    const wanted = new Set<string>();
    for (const { event } of batch) {
      const id = event.jobId;
      if (id === undefined) continue;
      if (!this.#known.has(id) || isPlace(event)) wanted.add(id);
    }
    const jobs = await Promise.all(
      [...wanted].map(async (id) => [id, await this.#find(id).catch(() => undefined)] as const),
    );
    return new Map(jobs);
  }

  #read(event: BullEvent, time: number, job: Job | undefined): QueueEvent | undefined {
    const id = event.jobId as string;
    const known = this.#knownOf(id, event, job);
    const facts = { queue: this.#queue, id, name: known.name, key: known.key, time };
    const { isNew, isReleased } = known;
    known.isNew = event.event === 'added';
    known.isReleased = event.event === releasedEvent;
    switch (event.event) {
      case 'added':
        return { kind: 'added', ...facts };
      case 'active':
        return event['taskwarden'] === 'seized' ? undefined : { kind: 'started', ...facts };
      case 'completed':
        this.#known.delete(id);
        return { kind: isCanceledText(event['returnvalue']) ? 'canceled' : 'completed', ...facts };
      case 'failed':
        this.#known.delete(id);
        return { kind: 'failed', ...facts, message: event['failedReason'] ?? '' };
      case 'progress': {
        const progress = progressOf(parseJson(event['data']));
        return progress && { kind: 'progress', ...facts, progress };
      }
      case 'stalled':
        return undefined;
      default:
        if (event['prev'] === 'failed') return { kind: 'added', ...facts };
        if (isNew || isReleased || known.isReleased) return undefined;
        if (job === undefined || job.attemptsMade <= known.failures) return undefined;
        known.failures += 1;
        return { kind: 'retried', ...facts, message: job.failedReason ?? '' };
    }
  }

  #knownOf(id: string, event: BullEvent, job: Job | undefined): Known {
    const found = this.#known.get(id);
    if (found !== undefined) return found;
    const name = event.event === 'added' ? event['name'] : job?.name;
    const known = {
      name: nameOf(name),
      key: job && keyOf(job).key,
      isNew: false,
      isReleased: false,
      // It has not failed when it is added, though it may have until it is looked up.
      failures: event.event === 'added' ? 0 : Math.max((job?.attemptsMade ?? 0) - (isPlace(event) ? 1 : 0), 0),
    };
    this.#known.set(id, known);
    if (this.#known.size > mostKnown) this.#known.delete(this.#known.keys().next().value as string);
    return known;
  }

  #publish(event: QueueEvent): void {
    const onProblem = (problem: unknown) => console.error('BullMQTaskCourier: a listener failed:', problem);
    for (const listener of this.#listeners) callSafely(listener, event, onProblem);
  }

  close(): void {
    this.#listeners.clear();
    this.#known.clear();
    this.#pending = [];
    this.#lastPause = undefined;
  }
}

function isPlace({ event, ...more }: BullEvent): boolean {
  return event === 'delayed' || (event === 'waiting' && more['prev'] === 'active');
}

/** Whether a return to those that wait is that of a lost lease, of which the next event tells. */
function isStall(event: BullEvent, next: BullEvent | undefined): boolean {
  return event.event === 'waiting' && next?.event === 'stalled' && next.jobId === event.jobId;
}

/** Events of places: only a delay or a return to those that wait may be a retry. */
function isOfTask({ event, jobId, ...more }: BullEvent): boolean {
  if (jobId === undefined) return false;
  if (event === 'waiting') return more['prev'] !== 'delayed';
  return ['added', 'active', 'completed', 'failed', 'progress', 'delayed', 'stalled', releasedEvent].includes(event);
}

function isPause(event: BullEvent): event is BullEvent & { readonly event: 'paused' | 'resumed' } {
  return event.jobId === undefined && (event.event === 'paused' || event.event === 'resumed');
}
