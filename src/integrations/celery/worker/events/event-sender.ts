/**
 * Publishes events as Celery's workers do, for `celery events`, Flower and other workers. Those of tasks are sent together,
 * and only if they are wanted. An event that can't be sent is dropped.
 */
import { courierKit } from '../../../../index.ts';
import type { Client } from '../../../redis-client.ts';
import { writeEnvelope } from '../../protocol/envelope.ts';
import { toJson } from '../../protocol/json.ts';
import type { Names } from '../../protocol/names.ts';
import type { LamportClock } from './lamport-clock.ts';

const { Timer } = courierKit;

/** Events of tasks wait for others for so many milliseconds, or until there are so many. */
const bufferedMs = 100;
const mostBuffered = 24;

export class EventSender {
  /** Whether events of tasks are sent: an option, and `enable_events` and `disable_events` of remote control. */
  sendsTaskEvents: boolean;
  readonly #client: Client;
  readonly #names: Names;
  readonly #workerName: string;
  readonly #clock: LamportClock;
  #buffered: Readonly<Record<string, unknown>>[] = [];
  #timer: InstanceType<typeof Timer> | undefined;

  constructor(parts: {
    readonly client: Client;
    readonly names: Names;
    readonly workerName: string;
    readonly clock: LamportClock;
    readonly sendsTaskEvents: boolean;
  }) {
    this.#client = parts.client;
    this.#names = parts.names;
    this.#workerName = parts.workerName;
    this.#clock = parts.clock;
    this.sendsTaskEvents = parts.sendsTaskEvents;
  }

  /** @param type `worker-online`, `worker-heartbeat` or `worker-offline`. */
  sendWorkerEvent(type: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#publish(type, this.#event(type, fields));
  }

  /** @param type `task-received`, `task-started` and so on. */
  sendTaskEvent(type: string, taskId: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (!this.sendsTaskEvents) return;
    this.#buffered.push(this.#event(type, { uuid: taskId, ...fields }));
    if (this.#buffered.length >= mostBuffered) void this.flush();
    else this.#timer ??= new Timer(bufferedMs, () => void this.flush());
  }

  #event(type: string, fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    return {
      hostname: this.#workerName,
      utcoffset: new Date().getTimezoneOffset() / 60,
      pid: process.pid,
      clock: this.#clock.forward(),
      timestamp: Date.now() / 1_000,
      type,
      ...fields,
    };
  }

  /** Sends the events of tasks that wait. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const events = this.#buffered;
    this.#buffered = [];
    if (events.length > 0) await this.#publish('task.multi', events);
  }

  async #publish(type: string, body: unknown): Promise<void> {
    try {
      const text = writeEnvelope({
        body: toJson(body, 'the event'),
        headers: { hostname: this.#workerName },
        exchange: 'celeryev',
        routingKey: type.replaceAll('-', '.'),
        isTransient: true,
      });
      await this.#client.call((redis) => redis.publish(this.#names.event(type), text));
    } catch {
      // The broker is away, which is reported elsewhere.
    }
  }
}
