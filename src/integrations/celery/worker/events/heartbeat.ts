/** Tells those who watch Celery's workers that this one is there, every two seconds, and when it goes. */
import { loadavg } from 'node:os';
import { courierKit } from '../../../../index.ts';
import type { EventSender } from './event-sender.ts';

const { Timer } = courierKit;

const everyMs = 2_000;

/** What Celery's own workers say of their software. */
const software: Readonly<Record<string, string>> = {
  sw_ident: 'taskwarden',
  sw_ver: '1',
  sw_sys: process.platform,
};

export class Heartbeat {
  readonly #events: EventSender;
  readonly #figures: () => { readonly active: number; readonly processed: number };
  #timer: InstanceType<typeof Timer> | undefined;

  constructor(events: EventSender, figures: () => { readonly active: number; readonly processed: number }) {
    this.#events = events;
    this.#figures = figures;
  }

  start(): void {
    void this.#send('worker-online');
    this.#beatLater();
  }

  #beatLater(): void {
    this.#timer = new Timer(everyMs, () => {
      this.#beatLater();
      void this.beat();
    });
  }

  beat(): Promise<void> {
    return this.#send('worker-heartbeat');
  }

  #send(type: string): Promise<void> {
    const load = loadavg().map((each) => Math.round(each * 100) / 100);
    return this.#events.sendWorkerEvent(type, {
      freq: everyMs / 1_000,
      loadavg: load,
      ...this.#figures(),
      ...software,
    });
  }

  /** Resolves when all was sent. */
  async stop(): Promise<void> {
    this.close();
    await this.#events.flush();
    await this.#send('worker-offline');
  }

  close(): void {
    this.#timer?.cancel();
  }
}
