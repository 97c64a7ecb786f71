/**
 * The life of a supervisor:
 *
 *   idle ── start(), or the first task ──▶ running ── stop() ──▶ stopping ──▶ stopped
 *     └──────────────────────────── stop() ──────────────────────────────────────▲
 *
 * A stopped supervisor stays stopped. An idle one never keeps the process alive.
 */
import { TaskwardenError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { LateTasks } from '../dispatch/events/late-tasks.ts';
import type { StopReport, SupervisorEmitter } from '../dispatch/events/supervisor-events.ts';
import type { LaneRegistry } from '../dispatch/lane-registry.ts';
import type { Startable, SupervisorState } from '../dispatch/supervisor-state.ts';
import { Promise } from '../platform/globals.ts';
import type { KeepAlive } from '../platform/keep-alive.ts';
import type { Capacity } from '../queue/capacity.ts';
import type { Schedules } from '../schedules/schedules.ts';
import { isHost } from '../task/definition/load-phase.ts';
import type { Shutdown, StopOptions } from './shutdown.ts';
import { StopSignals } from './stop-signals.ts';

export interface BlockOptions {
  /** The signals that stop the supervisor: the first gracefully, a second one at once. Default: SIGINT and SIGTERM. */
  readonly signals?: readonly NodeJS.Signals[];
  /** How long the first signal lets tasks finish, as of `stop()`. Default: `true`, until all have ended. */
  readonly wait?: boolean | number;
}

interface LifeCycleParts {
  readonly supervisor: SupervisorEmitter & Startable & { readonly id: string; stop(options: StopOptions): unknown };
  readonly options: { readonly logger: Logger };
  readonly keepAlive: KeepAlive;
  readonly lanes: LaneRegistry;
  readonly late: LateTasks;
  readonly capacity: Capacity;
  readonly modules: { close(): void };
  readonly unique: { close(): void };
  readonly schedules: Schedules;
  readonly shutdown: Shutdown;
}

export class LifeCycle {
  readonly #parts: LifeCycleParts;
  readonly #signals: StopSignals;
  #state: SupervisorState = 'idle';
  /** How long the first signal lets tasks finish. */
  #waitOfBlock: boolean | number = true;
  #report: StopReport | undefined;
  /** They get the report as soon as there is one. */
  readonly #waiting: ((report: StopReport) => void)[] = [];

  constructor(parts: LifeCycleParts) {
    this.#parts = parts;
    this.#signals = new StopSignals(
      () => void parts.supervisor.stop({ wait: this.#state === 'running' && this.#waitOfBlock }),
    );
  }

  get state(): SupervisorState {
    return this.#state;
  }

  stoppedError(consequence: string): TaskwardenError {
    const { name } = this.#parts.supervisor;
    return new TaskwardenError('SUPERVISOR_STOPPED', `${name} is ${this.#state}: ${consequence}`);
  }

  start(): void {
    const { supervisor, lanes } = this.#parts;
    if (isHost() || this.#state === 'running') return;
    if (this.#state !== 'idle') throw this.stoppedError('it can be started once');
    this.#state = 'running';
    lanes.start();
    if (supervisor.listenerCount('supervisor:started') > 0)
      supervisor.emit('supervisor:started', { id: supervisor.id });
  }

  /** Resolves when the threads and children that are always kept are up. */
  async ready(): Promise<void> {
    const { supervisor, keepAlive, lanes } = this.#parts;
    supervisor.start();
    await keepAlive.during(() => lanes.ready());
    if (this.#state !== 'running') throw this.stoppedError('its threads and children are gone');
  }

  /** Keeps the process alive until the supervisor has stopped. */
  async block({ signals = ['SIGINT', 'SIGTERM'], wait = true }: BlockOptions): Promise<StopReport> {
    if (this.#report !== undefined) return this.#report;
    const { supervisor, keepAlive } = this.#parts;
    this.#waitOfBlock = wait;
    this.#signals.listen(signals);
    keepAlive.hold();
    try {
      if (this.#state === 'idle') supervisor.start();
      return await this.#stopped();
    } finally {
      this.#signals.unlisten(signals);
      keepAlive.release();
    }
  }

  #stopped(): Promise<StopReport> {
    return new Promise((resolve) => {
      if (this.#report === undefined) this.#waiting.push(resolve);
      else resolve(this.#report);
    });
  }

  /** Each call can only bring the end forward; all of them get the same report. */
  stop(options: StopOptions): Promise<StopReport> {
    const { supervisor, shutdown } = this.#parts;
    const stopped = this.#stopped();
    if (this.#state === 'idle' || this.#state === 'running') void this.#stop(options);
    if (this.#state === 'stopping') shutdown.bringForward(options);
    return shutdown.reportFor(stopped, options, supervisor);
  }

  async #stop({ stopWorkers = true }: StopOptions): Promise<void> {
    const { supervisor, keepAlive, late, capacity, modules, unique, schedules, shutdown } = this.#parts;
    const wasIdle = this.#state === 'idle';
    this.#state = 'stopping';
    schedules.close();
    keepAlive.hold();
    shutdown.begin();
    if (!wasIdle) supervisor.emit('supervisor:stopping', { id: supervisor.id });
    const report = await shutdown.run(stopWorkers);
    late.stop();
    capacity.close();
    modules.close();
    unique.close();
    this.#state = 'stopped';
    this.#report = report;
    keepAlive.close();
    this.#logLosses(report);
    if (!wasIdle) supervisor.emit('supervisor:stopped', { id: supervisor.id, report });
    for (const resolve of this.#waiting.splice(0)) resolve(report);
  }

  #logLosses({ canceled, terminated, missing = 0 }: StopReport): void {
    const { name } = this.#parts.supervisor;
    const { logger } = this.#parts.options;
    if (missing > 0) logger.error(`${name}: stopped without ${missing} tasks that it has lost: they will never end`);
    if (canceled + terminated > 0) {
      logger.warn(`${name}: stopped with ${canceled} tasks canceled and ${terminated} terminated`);
    }
  }
}
