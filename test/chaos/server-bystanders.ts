/** Those who are stopped while a server is in trouble. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { BackgroundQueueWorker, BaseWorker, TaskSupervisor } from 'taskwarden';
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import type { LoadOptions } from './server-load.ts';

/** A worker and a queue worker, each with a task in flight, and one that waits for a result. */
export class Bystanders {
  readonly #courier: BullMQTaskCourier;
  readonly #own: BullMQTaskCourier;
  readonly #supervisor = new TaskSupervisor({ logger: false });
  #worker: Holding | undefined;
  #performed: Promise<void> = Promise.resolve();

  private constructor({ url, prefix }: LoadOptions) {
    const options = { prefix, leaseMs: 1_000 };
    this.#courier = new BullMQTaskCourier(url, options);
    this.#own = new BullMQTaskCourier(url, options);
  }

  /** Resolves when all have begun. */
  static async start(options: LoadOptions): Promise<Bystanders> {
    const bystanders = new Bystanders(options);
    await Promise.all([bystanders.#beginWorker(), bystanders.#beginQueueWorker()]);
    return bystanders;
  }

  async #beginWorker(): Promise<void> {
    const queueName = `stopped-${randomUUID()}`;
    await this.#own.addTaskToQueue(queueName, 1, { wait: true });
    await new Promise<void>((begun) => {
      this.#worker = new Holding(this.#own, queueName, begun);
      this.#performed = this.#worker.perform();
    });
  }

  async #beginQueueWorker(): Promise<void> {
    const name = `held-${randomUUID()}`;
    await this.#courier.addTaskToQueue(name, 1, { wait: true });
    await new Promise<void>((begun) => {
      const hold = () => {
        begun();
        return new Promise(() => {});
      };
      const queue = { courier: this.#courier };
      const supervisor = this.#supervisor;
      new BackgroundQueueWorker(hold, { name, type: 'loop', supervisor, queue, onError: () => {} }).start();
    });
    this.#courier.waitForTaskResult(name, 'nobody-knows').catch(() => {});
  }

  /** What has not ended within so long. */
  async stop(withinMs: number): Promise<string[]> {
    const late: string[] = [];
    const inTime = async (what: string, ending: Promise<unknown>) => {
      const isLate = await Promise.race([ending.then(() => false), pause(withinMs, true, { ref: false })]);
      if (isLate) late.push(what);
    };
    this.#worker?.stop();
    await Promise.all([
      inTime('supervisor.stop()', this.#supervisor.stop({ wait: 500 })),
      inTime('worker.stop()', this.#performed),
    ]);
    await Promise.all([this.#courier, this.#own].map((each) => inTime('courier.close()', each.close())));
    return late;
  }
}

/** Its task ends when it is stopped: in the middle of the trouble, with a result to return. */
class Holding extends BaseWorker {
  readonly #begun: () => void;
  #end = () => {};

  constructor(courier: BullMQTaskCourier, queueName: string, begun: () => void) {
    super({ courier, queueName, onError: () => {} });
    this.#begun = begun;
  }

  override performSingleTask(): Promise<void> {
    this.#begun();
    return new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  override stop(): void {
    this.#end();
    super.stop();
  }
}
