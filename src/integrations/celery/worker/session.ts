/**
 * One run of a worker, from its start to its stop: the parts that it is made of, and the loop that takes messages when they
 * can be started.
 */
import { type BackgroundTask, courierKit, type TaskFunction } from '../../../index.ts';
import { NotAnswered } from '../../redis-client.ts';
import { objectOf } from '../protocol/envelope.ts';
import { Arrivals } from './broker/arrivals.ts';
import { Broker } from './broker/broker.ts';
import { Leases } from './broker/leases.ts';
import { Subscriber } from './broker/subscriber.ts';
import type { Connections } from './connections.ts';
import { commandsOf, revokedForPython } from './control/commands.ts';
import { Pidbox } from './control/pidbox.ts';
import { Rates } from './control/rates.ts';
import { EventSender } from './events/event-sender.ts';
import { Heartbeat } from './events/heartbeat.ts';
import { LamportClock } from './events/lamport-clock.ts';
import { Canvas } from './links/canvas.ts';
import { Chords } from './links/chords.ts';
import { MessageFollowers } from './links/followers.ts';
import { capacityOf } from './request/capacity.ts';
import type { RunLimits } from './request/execution.ts';
import type { Request } from './request/request.ts';
import { RequestRunner } from './request/request-runner.ts';
import { Requests } from './request/requests.ts';
import { RevokedIds } from './request/revoked-ids.ts';
import { Settler } from './request/settler.ts';
import { Slots } from './request/slots.ts';

const { Timer, untilAborted } = courierKit;

/** How long a stop waits for a broker that can't be reached, when no task runs any more; in milliseconds. */
const stuckMs = 15_000;
const stuckLookMs = 500;
/** How long a start waits for what other workers have to say, in milliseconds. */
const helloMs = 1_000;

export interface SessionOptions {
  readonly name: string;
  readonly queues: readonly string[];
  readonly functions: ReadonlyMap<string, BackgroundTask<TaskFunction>>;
  readonly concurrency: number;
  readonly acksLate: boolean;
  readonly visibilityTimeoutMs: number;
  readonly resultTtlMs: number;
  readonly trackStarted: boolean;
  readonly taskEvents: boolean;
  /** The queue of a task that follows one that ran here, if its signature names none. */
  readonly queueOf: (task: string) => string;
  readonly onProblem: (problem: unknown, request?: Request) => void;
}

export class Session {
  readonly requests: Requests = new Requests();
  readonly #options: SessionOptions;
  readonly #connections: Connections;
  readonly #broker: Broker;
  readonly #leases: Leases;
  readonly #slots: Slots;
  readonly #subscriber: Subscriber;
  readonly #arrivals: Arrivals;
  readonly #pidbox: Pidbox;
  readonly #revoked: RevokedIds = new RevokedIds();
  readonly #runner: RequestRunner;
  readonly #events: EventSender;
  readonly #heartbeat: Heartbeat;
  readonly #unwatch: () => void;
  readonly #stop = new AbortController();
  #isClosed = false;

  constructor(options: SessionOptions, connections: Connections) {
    this.#options = options;
    this.#connections = connections;
    const { name: workerName, functions, resultTtlMs, visibilityTimeoutMs, acksLate } = options;
    const { broker, backend, names } = connections;
    const onProblem = (problem: unknown, request?: Request) => {
      if (this.#isClosed || problem instanceof NotAnswered) return; // outages are told by the connections
      options.onProblem(problem, request);
    };
    const clock = new LamportClock();
    const capacity = capacityOf([...functions.values()]);
    const requests = this.requests;
    this.#broker = new Broker({ broker, backend, names, resultTtlMs });
    this.#slots = new Slots(options.concurrency, () => capacity.count());
    this.#unwatch = capacity.subscribe(() => this.#slots.changed());
    this.#leases = new Leases(this.#broker, {
      visibilityTimeoutMs,
      onProblem,
      onLost: (delivery) => requests.of(delivery)?.decide({ kind: 'lost' }),
    });
    this.#subscriber = new Subscriber(connections.subscriber, onProblem);
    this.#arrivals = new Arrivals(connections.watcher, this.#subscriber);
    this.#events = new EventSender({
      client: broker,
      names,
      workerName,
      clock,
      sendsTaskEvents: options.taskEvents,
    });
    const rates = new Rates();
    const limits = new Map<string, RunLimits>();
    const chords = new Chords(backend, names, Math.ceil(resultTtlMs / 1_000));
    const followers = new MessageFollowers(this.#broker, new Canvas(names, options.queueOf), chords, onProblem);
    this.#runner = new RequestRunner({
      broker: this.#broker,
      leases: this.#leases,
      requests,
      revoked: this.#revoked,
      settler: new Settler(this.#broker, this.#events, followers),
      slots: this.#slots,
      functions,
      workerName,
      acksLate,
      tracksStarted: options.trackStarted,
      admit: (task, signal) => rates.admit(task, signal),
      limitsOf: (task) => limits.get(task) ?? noLimits,
      onProblem,
      onSupervisorStopped: () => this.stop(),
    });
    const { counts } = this.#runner;
    this.#heartbeat = new Heartbeat(this.#events, () => ({
      active: requests.in('active').length,
      processed: [...counts.values()].reduce((sum, count) => sum + count, 0),
    }));
    const handlers = commandsOf({
      workerName,
      queues: options.queues,
      tasks: [...functions.keys()],
      requests,
      revoked: this.#revoked,
      slots: this.#slots,
      rates,
      limits,
      events: this.#events,
      heartbeat: this.#heartbeat,
      clock,
      counts,
      broker: brokerInfo(connections),
      stop: () => this.stop(),
    });
    this.#pidbox = new Pidbox({ client: broker, names, workerName, clock, handlers, onProblem });
    this.#subscriber.on(names.pidbox, (text) => this.#pidbox.receive(text));
  }

  /** Takes no more messages; what has not begun goes back to its queue, and what runs is finished. */
  stop(): void {
    this.#stop.abort();
    for (const request of this.requests.in('received', 'scheduled', 'reserved')) request.decide({ kind: 'released' });
  }

  /** Resolves when it was stopped, and all its tasks have ended. Rejects with what the broker refuses at the start. */
  async run(): Promise<void> {
    try {
      await untilAborted(this.#subscriber.start(), this.#stop.signal);
      await untilAborted(
        this.#broker.client.insist((redis) => redis.ping()),
        this.#stop.signal,
      );
      this.#broker.client.admit();
      await untilAborted(this.#learnRevoked(), this.#stop.signal);
      this.#leases.start();
      this.#heartbeat.start();
      await this.#takeAll();
      await this.#whenEmpty();
      await untilAborted(this.#heartbeat.stop(), AbortSignal.timeout(1_000));
    } finally {
      this.#isClosed = true;
      this.#unwatch();
      this.#leases.close();
      this.#heartbeat.close();
      this.#subscriber.close();
      this.#arrivals.close();
      this.#connections.close();
    }
  }

  /** The other workers know what was revoked before this one has started: Celery keeps that in their memory only. */
  async #learnRevoked(): Promise<void> {
    const { name } = this.#options;
    const hello = { from_node: name, revoked: revokedForPython(this.#revoked) };
    try {
      const answers = await this.#pidbox.ask('hello', hello, helloMs, this.#connections.watcher);
      for (const answer of Object.values(answers)) {
        for (const id of Object.keys(objectOf(objectOf(answer)?.['revoked']) ?? {})) this.#revoked.add(id);
      }
    } catch (error) {
      if (!(error instanceof NotAnswered)) throw error;
    }
  }

  async #takeAll(): Promise<void> {
    const { signal } = this.#stop;
    let { queues } = this.#options;
    while (!signal.aborted) {
      await untilAborted(this.#slots.whenFree(), signal);
      if (signal.aborted) return;
      const taken = await this.#take(queues, this.#slots.free);
      if (taken === undefined) continue;
      queues = [...queues.slice(1), ...queues.slice(0, 1)]; // each is the first one in its turn, as in kombu
      if (taken === 0) await this.#arrivals.wait(this.#broker.names.lists(queues), signal);
    }
  }

  /** How many came; undefined if the broker could not be asked. */
  async #take(queues: readonly string[], max: number): Promise<number | undefined> {
    try {
      const deliveries = await this.#broker.take(queues, max);
      for (const delivery of deliveries) {
        this.#slots.take();
        if (this.#stop.signal.aborted) void this.#giveBack(delivery);
        else void this.#runner.receive(delivery);
      }
      return deliveries.length;
    } catch (error) {
      if (!(error instanceof NotAnswered)) throw error;
      return undefined;
    }
  }

  async #giveBack(delivery: Parameters<Broker['requeue']>[0]): Promise<void> {
    this.#slots.release();
    if (!delivery.isAcknowledged) await this.#broker.requeue(delivery, 'first').catch(this.#options.onProblem);
  }

  /** Does not wait for ever where the broker is gone: then the messages are given to others after the visibility timeout. */
  async #whenEmpty(): Promise<void> {
    const stuck = new AbortController();
    let quietMs = 0;
    let timer: InstanceType<typeof Timer>;
    const look = () => {
      const runs = this.requests.in('active').some(({ handle }) => handle?.done === false);
      quietMs = runs ? 0 : quietMs + stuckLookMs;
      if (quietMs >= stuckMs) stuck.abort();
      else timer = new Timer(stuckLookMs, look);
    };
    timer = new Timer(stuckLookMs, look);
    await untilAborted(this.requests.whenEmpty(), stuck.signal);
    timer.cancel();
  }
}

const noLimits: RunLimits = { hardMs: undefined, softMs: undefined };

/** Where the broker is; neither its user nor its password. */
function brokerInfo({ broker }: Connections): Readonly<Record<string, unknown>> {
  const { host, port, db, tls } = broker.redis.options;
  return {
    transport: 'redis',
    hostname: host ?? null,
    port: port ?? null,
    virtual_host: String(db ?? 0),
    ssl: tls !== undefined,
  };
}
