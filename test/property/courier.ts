/**
 * A courier against a small model, under random adds, gets, returns, errors, releases, cancels, lost leases and redrives:
 * nothing is lost, nothing is settled twice, and workers get tasks by priority, and first in, first out inside one.
 * Any courier can be put to it whose `letPass` is quick enough.
 */
import fc from 'fast-check';
import { type ClientWorkerTaskCourier, type CourierTask, type Priority, TaskwardenError } from 'taskwarden';
import { expect } from 'vitest';

export interface CourierToTry {
  readonly courier: ClientWorkerTaskCourier;
  /** Nothing has been in it yet. Default: `'tried'`. */
  readonly queue?: string;
  /** So many leases of one task may be lost. */
  readonly maxStalls: number;
  /** Returns when all leases have run out. */
  readonly loseLeases: () => Promise<void>;
  /** Returns when no task is held back, all pauses being 0. */
  readonly letRetry: () => Promise<void>;
  /** What comes back from a worker has the place that it had; else it is before all others, by when it was added. Default: true. */
  readonly keepsPlaces?: boolean;
}

const urgency: readonly Priority[] = ['critical', 'high', 'normal', 'low'];
/** Many of one priority, so that their order among themselves is tried. */
const priority = fc.constantFrom(...urgency, 'normal' as const, 'normal' as const, 'normal' as const);

const step = fc.oneof(
  fc.record({ kind: fc.constant('add'), priority, retries: fc.nat(2) }),
  fc.record({ kind: fc.constant('bulkAdd'), priority, count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('get'), minPriority: priority, max: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('get'), minPriority: fc.constant('low'), max: fc.constant(1) }),
  fc.record({ kind: fc.constantFrom('return', 'error', 'release', 'extend', 'late', 'cancel'), pick: fc.nat(1_000) }),
  fc.record({ kind: fc.constant('returnForNext'), picks: fc.array(fc.nat(1_000), { maxLength: 3 }), next: fc.nat(4) }),
  fc.record({ kind: fc.constantFrom('die', 'redrive') }),
) as fc.Arbitrary<CourierStep>;

type CourierStep =
  | { readonly kind: 'add'; readonly priority: Priority; readonly retries: number }
  | { readonly kind: 'bulkAdd'; readonly priority: Priority; readonly count: number }
  | { readonly kind: 'get'; readonly minPriority: Priority; readonly max: number }
  | { readonly kind: 'return' | 'error' | 'release' | 'extend' | 'late' | 'cancel'; readonly pick: number }
  | { readonly kind: 'returnForNext'; readonly picks: readonly number[]; readonly next: number }
  | { readonly kind: 'die' | 'redrive' };

export const courierSteps: fc.Arbitrary<CourierStep[]> = fc.array(step, { minLength: 1, maxLength: 80 });

interface ModelTask {
  readonly id: string;
  readonly priority: Priority;
  readonly retries: number;
  place: number;
  attempts: number;
  failures: number;
  stalls: number;
  state: 'waiting' | 'leased' | 'dead' | 'ended';
  delivered: CourierTask | undefined;
  /** What the first wait for its result is to give. */
  firstEnd: string | undefined;
}

const open = { isPaused: false, limits: undefined };

class CourierTrial {
  readonly #courier: ClientWorkerTaskCourier;
  readonly #queue: string;
  readonly #tried: CourierToTry;
  readonly #tasks: ModelTask[] = [];
  /** Deliveries that hold no longer. */
  readonly #late: CourierTask[] = [];
  readonly #ends: Promise<string>[] = [];
  #places = 0;

  constructor(tried: CourierToTry) {
    this.#tried = tried;
    this.#courier = tried.courier;
    this.#queue = tried.queue ?? 'tried';
  }

  #in(state: ModelTask['state']): ModelTask[] {
    return this.#tasks.filter((task) => task.state === state);
  }

  #added(id: string, priority: Priority, retries: number): void {
    const task: ModelTask = {
      id,
      priority,
      retries,
      place: 0,
      attempts: 0,
      failures: 0,
      stalls: 0,
      state: 'waiting',
      delivered: undefined,
      firstEnd: undefined,
    };
    this.#toTail(task);
    this.#tasks.push(task);
    const end = this.#courier.waitForTaskResult<string>(this.#queue, id);
    this.#ends.push(end.catch((error) => (error instanceof TaskwardenError ? error.code : (error as Error).message)));
  }

  #toTail(task: ModelTask): void {
    this.#places += 1;
    task.place = this.#places;
    task.state = 'waiting';
  }

  /** Back from a worker. */
  #toPlace(task: ModelTask): void {
    if (this.#tried.keepsPlaces === false) task.place = this.#tasks.indexOf(task) - 1e9;
    task.state = 'waiting';
  }

  #let(task: ModelTask): CourierTask {
    const { delivered } = task;
    if (delivered === undefined) throw new Error('the model is wrong');
    this.#late.push(delivered);
    task.delivered = undefined;
    return delivered;
  }

  #end(task: ModelTask, state: 'dead' | 'ended', how: string): void {
    task.state = state;
    task.firstEnd ??= how;
  }

  /** What a worker is to get now. */
  #next(minPriority: Priority, max: number): ModelTask[] {
    const isUrgent = (task: ModelTask) => urgency.indexOf(task.priority) <= urgency.indexOf(minPriority);
    const rank = (task: ModelTask) => urgency.indexOf(task.priority);
    return this.#in('waiting')
      .filter(isUrgent)
      .sort((a, b) => rank(a) - rank(b) || a.place - b.place)
      .slice(0, max);
  }

  async take(step: CourierStep): Promise<void> {
    const courier = this.#courier;
    switch (step.kind) {
      case 'add': {
        const { priority, retries } = step;
        const options = { priority, retries, retryDelayMs: 0 };
        this.#added(await courier.addTaskToQueue(this.#queue, this.#tasks.length, options), priority, retries);
        break;
      }
      case 'bulkAdd': {
        const data = Array.from({ length: step.count }, (_, n) => this.#tasks.length + n);
        const ids = await courier.bulkAddTasksToQueue(this.#queue, data, { priority: step.priority });
        for (const id of ids) this.#added(id, step.priority, 0);
        break;
      }
      case 'get':
        await this.get(step.minPriority, step.max);
        break;
      case 'die':
        await this.#tried.loseLeases();
        for (const task of this.#in('leased')) {
          this.#let(task);
          task.stalls += 1;
          if (task.stalls === this.#tried.maxStalls) this.#end(task, 'dead', 'TASK_STALLED');
          else this.#toPlace(task);
        }
        break;
      case 'redrive': {
        const dead = await courier.getDeadLetters(this.#queue, { max: 1_000 });
        expect(dead.map(({ id }) => id).sort()).toEqual(
          this.#in('dead')
            .map(({ id }) => id)
            .sort(),
        );
        expect(await courier.redriveTasks(this.#queue)).toBe(dead.length);
        for (const { id } of dead) {
          const task = this.#tasks.find((each) => each.id === id) as ModelTask;
          Object.assign(task, { attempts: 0, failures: 0, stalls: 0 });
          this.#toTail(task);
        }
        break;
      }
      case 'late':
        await this.#comeLate(step.pick);
        break;
      case 'returnForNext':
        await this.#returnForNext(step.picks, step.next);
        break;
      case 'cancel': {
        const task = this.#tasks[step.pick % this.#tasks.length];
        if (task === undefined) break;
        const isLive = task.state === 'waiting' || task.state === 'leased';
        expect(await courier.cancelTask(this.#queue, task.id)).toBe(isLive);
        if (task.state === 'leased') this.#let(task);
        if (isLive) this.#end(task, 'ended', 'TASK_CANCELED');
        break;
      }
      default: {
        const leased = this.#in('leased');
        const task = leased[step.pick % leased.length];
        if (task !== undefined) await this.#settle(task, step.kind);
      }
    }
  }

  async #settle(task: ModelTask, how: 'return' | 'error' | 'release' | 'extend'): Promise<void> {
    if (how === 'extend') {
      await this.#courier.extendLease(this.#queue, task.delivered as CourierTask);
      return;
    }
    const delivered = this.#let(task);
    if (how === 'return') {
      await this.#courier.returnTaskResult(this.#queue, delivered, `result ${task.id}`);
      this.#end(task, 'ended', `result ${task.id}`);
    } else if (how === 'release') {
      await this.#courier.releaseTask(this.#queue, delivered);
      task.attempts -= 1;
      this.#toPlace(task);
    } else {
      await this.#courier.returnTaskError(this.#queue, delivered, new Error(`error ${task.id}`));
      task.failures += 1;
      if (task.failures > task.retries) this.#end(task, 'dead', `error ${task.id}`);
      else this.#toTail(task);
      await this.#tried.letRetry();
    }
  }

  async #comeLate(pick: number): Promise<void> {
    const task = this.#late[pick % this.#late.length];
    if (task === undefined) return;
    for (const comeLate of [
      () => this.#courier.returnTaskResult(this.#queue, task, 'late'),
      () => this.#courier.returnTaskError(this.#queue, task, new Error('late')),
      () => this.#courier.releaseTask(this.#queue, task),
    ]) {
      await expect(comeLate()).rejects.toMatchObject({ code: 'LEASE_LOST' });
    }
  }

  async #returnForNext(picks: readonly number[], next: number): Promise<void> {
    const leased = this.#in('leased');
    const returned = [...new Set(picks.map((pick) => leased[pick % leased.length]))].filter(
      (task) => task !== undefined,
    );
    const results = returned.map((task) => [this.#let(task), `result ${task.id}`] as const);
    for (const task of returned) this.#end(task, 'ended', `result ${task.id}`);
    const expected = this.#next('low', next);
    this.#got(expected, await this.#courier.bulkReturnTaskResults(this.#queue, results, { next }));
  }

  async get(minPriority: Priority, max: number): Promise<number> {
    const expected = this.#next(minPriority, max);
    const got = await this.#courier.bulkGetTasks(this.#queue, max, { minPriority });
    this.#got(expected, got);
    return got.length;
  }

  #got(expected: readonly ModelTask[], got: readonly CourierTask[]): void {
    for (const task of expected) task.attempts += 1;
    const told = ({ id, attempt }: CourierTask) => ({ id, attempt });
    expect(got.map(told)).toEqual(expected.map(({ id, attempts }) => ({ id, attempt: attempts })));
    for (const [n, task] of expected.entries()) {
      task.state = 'leased';
      task.delivered = got[n];
    }
  }

  async check(): Promise<void> {
    const waiting = { critical: 0, high: 0, normal: 0, low: 0 };
    for (const task of this.#in('waiting')) waiting[task.priority] += 1;
    const [leased, deadLetters] = [this.#in('leased').length, this.#in('dead').length];
    expect(await this.#courier.getQueueInfo(this.#queue)).toEqual({
      waiting,
      delayed: 0,
      leased,
      deadLetters,
      ...open,
    });
  }

  /** Does what is left, and compares how each task has ended first. */
  async finish(): Promise<void> {
    while ((await this.get('low', 3)) > 0);
    for (const task of this.#in('leased')) await this.#settle(task, 'return');
    expect(await Promise.all(this.#ends)).toEqual(this.#tasks.map(({ firstEnd }) => firstEnd));
  }
}

export async function tryCourier(tried: CourierToTry, steps: readonly CourierStep[]): Promise<void> {
  const trial = new CourierTrial(tried);
  for (const step of steps) {
    await trial.take(step);
    await trial.check();
  }
  await trial.finish();
}
