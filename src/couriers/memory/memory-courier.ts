/**
 * MemoryTaskCourier: the courier within one program, without a server. What it holds is gone when the program ends.
 * It keeps the process alive while somebody waits for what one of its timers is to bring: the time-out of the wait, or,
 * where tasks of that queue are delayed or leased, a task or a result. In a thread or child it stands in for that of the program.
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
  /** How long a worker has a task before it must extend its lease, in milliseconds. Default: 30,000. */
  readonly leaseMs?: number;
  /** How long a result, or a failure, is kept after the end of its task, in milliseconds. Default: 3,600,000, an hour. */
  readonly resultTtlMs?: number;
  /** How many tasks may wait in each queue, those that are held back too. Default: Infinity. */
  readonly maxQueued?: number;
  /** A task that has lost so many leases has failed, with `TASK_STALLED`. Default: 3. */
  readonly maxStalls?: number;
  /** How many dead letters are kept in each queue; then the oldest goes. Default: Infinity. */
  readonly maxDeadLetters?: number;
  /** Whether data, results and messages are copied; else they must not be changed any more. Default: true. */
  readonly copies?: boolean;
  /** By which threads and children know it; unique in the program. Default: the place in the code where it is made. */
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
 * Carries tasks from clients to workers, and results back, within one program: its threads and children, too. A file that
 * both sides import makes it, with the same `name`; what tasks call there is done by the one of the program.
 */
export class MemoryTaskCourier extends CheckedCourier {
  readonly #name: ObjectName;
  /** In the program: threads can call it while this courier is held. */
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
