/** The parts of a supervisor, built from the ground up. */
import { WorkerRegistry } from '../background-workers/worker-registry.ts';
import { Admission } from '../dispatch/admission.ts';
import { Backlog } from '../dispatch/backlog.ts';
import { Batcher } from '../dispatch/batcher.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import { LateTasks } from '../dispatch/events/late-tasks.ts';
import type { SupervisorEmitter } from '../dispatch/events/supervisor-events.ts';
import { TaskEvents } from '../dispatch/events/task-events.ts';
import { LaneRegistry } from '../dispatch/lane-registry.ts';
import { TaskCounters } from '../dispatch/task-counters.ts';
import { KeepAlive } from '../platform/keep-alive.ts';
import { Capacity } from '../queue/capacity.ts';
import { FreeCapacity } from '../queue/free-capacity.ts';
import { Schedules } from '../schedules/schedules.ts';
import { TaskTable } from '../task/record/task-table.ts';
import type { TaskType } from '../task/record/task-type.ts';
import { CurrentOptions } from './current-options.ts';
import { LifeCycle } from './life-cycle.ts';
import { ModuleRegistry } from './module-registry.ts';
import { Shutdown, type StopOptions } from './shutdown.ts';
import type { SupervisorOptions } from './supervisor-options.ts';
import type { ModuleSupervisor } from './task-module.ts';

export interface SupervisorParts {
  readonly options: CurrentOptions;
  readonly keepAlive: KeepAlive;
  readonly counters: TaskCounters;
  readonly table: TaskTable;
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly capacity: Capacity;
  readonly freeCapacity: FreeCapacity<TaskType>;
  readonly late: LateTasks;
  readonly dispatcher: Dispatcher;
  readonly modules: ModuleRegistry;
  readonly admission: Admission;
  readonly workers: WorkerRegistry;
  readonly schedules: Schedules;
  readonly lifeCycle: LifeCycle;
}

/** @throws TypeError or RangeError for an option that is unknown or bad. */
export function buildParts(
  supervisor: SupervisorEmitter & ModuleSupervisor & { readonly id: string; stop(options: StopOptions): unknown },
  given: SupervisorOptions,
): SupervisorParts {
  const options = new CurrentOptions(given);
  const keepAlive = new KeepAlive();
  const counters = new TaskCounters(keepAlive);
  const table = new TaskTable(options.current.keepFinished);
  const events = new TaskEvents(supervisor, options, counters);
  const lanes = new LaneRegistry(options.current, events, table);
  const late = new LateTasks(lanes, options.current.lateMs, events);
  const backlog = new Backlog(lanes, options);
  const capacity = new Capacity(() => backlog.room);
  const batcher = new Batcher();
  const freeCapacity = new FreeCapacity<TaskType>(
    (type) => lanes.of(type).pool,
    (demand) => (options.current.context === undefined ? batcher.perSlot(demand) : 1),
  );
  const core = { lanes, backlog, counters, table, events, late, batcher, capacity, freeCapacity };
  const dispatcher = new Dispatcher(core);
  const { pending, pauses, slots } = dispatcher;
  const modules = new ModuleRegistry(supervisor, slots, pauses);
  const admission = new Admission({ supervisor, options, modules, lanes, backlog, table, dispatcher });
  const workers = new WorkerRegistry(keepAlive);
  const schedules = new Schedules(supervisor, keepAlive, (line) => options.logger.error(line));
  const shutdown = new Shutdown({ admission, backlog, pending, counters, lanes, workers, schedules });
  const lifeCycle = new LifeCycle({
    supervisor,
    options,
    keepAlive,
    lanes,
    late,
    capacity,
    modules,
    unique: dispatcher.unique,
    schedules,
    shutdown,
  });
  return {
    options,
    keepAlive,
    counters,
    table,
    lanes,
    backlog,
    capacity,
    freeCapacity,
    late,
    dispatcher,
    modules,
    admission,
    workers,
    schedules,
    lifeCycle,
  };
}
