/**
 * MemoryTaskCourier: the courier within one program, without a server. Its tasks are lost when the program ends. It keeps
 * the process alive while somebody waits for something that one of its timers can bring: the time-out of the wait, or a task
 * or result while tasks of that queue are delayed or leased. In a thread or child it is a proxy of the one in the program.
 */
import { checkOptions, type Rule, rules } from '../../base/options.ts';
import { callSite } from '../../platform/stack-traces.ts';
import { isHost, isLoadingModule } from '../../task/definition/load-phase.ts';
import { exposeObject, type ObjectName, unexposeObject } from '../../task/definition/program-object.ts';
import { CheckedCourier } from '../checked-courier.ts';
import { courierProxy } from '../remote/courier-proxy.ts';
import { CourierServer } from '../remote/courier-server.ts';
import { MemoryStore } from './memory-store.ts';

export interface MemoryCourierOptions {
  /** How long a lease lasts unless it is extended, in milliseconds. Default: 30,000. */
  readonly leaseMs?: number;
  /** How long a result or error is kept after the end of its task, in milliseconds. Default: 3,600,000, an hour. */
  readonly resultTtlMs?: number;
  /** How many tasks may wait in each queue, delayed ones included. Default: Infinity. */
  readonly maxQueued?: number;
  /** A task that has lost so many leases fails with `TASK_STALLED`. Default: 3. */
  readonly maxStalls?: number;
  /** How many dead letters are kept in each queue; the oldest are dropped. Default: Infinity. */
  readonly maxDeadLetters?: number;
  /** Whether data, results and messages are copied. If not, they must not be changed afterwards. Default: true. */
  readonly copies?: boolean;
  /** The name by which threads and children find it; unique in the program. Default: the place in the code where it is made. */
  readonly name?: string;
}

const courierRules: Readonly<Record<keyof MemoryCourierOptions, Rule>> = {
  leaseMs: rules.positiveMs,
  resultTtlMs: rules.durationMsOrInfinity,
  maxQueued: rules.positiveCountOrInfinity,
  maxStalls: rules.positiveCountOrInfinity,
  maxDeadLetters: rules.countOrInfinity,
  copies: rules.boolean,
  name: rules.string,
};

/**
 * Carries tasks from clients to workers, and results back, within one program and its threads and children. Make it in a
 * file that both sides import, with the same `name`; calls in threads and children go to the courier in the program.
 */
export class MemoryTaskCourier extends CheckedCourier {
  readonly #name: ObjectName;
  /** In the program: serves threads and children as long as this courier is reachable. */
  readonly #server: CourierServer | undefined;

  /** @throws TypeError or RangeError for an option that is unknown or bad, or if another has the `name`. */
  constructor(options: MemoryCourierOptions = {}) {
    checkOptions(options, courierRules, 'MemoryTaskCourier');
    const { leaseMs = 30_000, resultTtlMs = 3_600_000, maxQueued = Infinity, maxStalls = 3, copies = true } = options;
    const { maxDeadLetters = Infinity } = options;
    const name: ObjectName = { kind: 'MemoryTaskCourier', name: options.name, site: callSite(new.target) };
    if (isHost()) {
      const standIn = courierProxy(name, leaseMs);
      super(standIn, standIn);
    } else {
      const store = new MemoryStore({ leaseMs, resultTtlMs, maxQueued, maxStalls, maxDeadLetters, copies });
      super(store, store);
      this.#server = new CourierServer(store, () => this.close());
      exposeObject(name, this.#server);
    }
    this.#name = name;
  }

  override close(): Promise<void> {
    if (this.#server !== undefined && !isLoadingModule()) unexposeObject(this.#name, this.#server);
    return super.close();
  }
}
