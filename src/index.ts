/** The public names of taskwarden, and nothing else. */

export {
  BackgroundWorker,
  type WorkerState,
  type WorkerSupervisor,
} from './background-workers/background-worker.ts';
export { BackgroundEventWorker } from './background-workers/event-worker.ts';
export { BackgroundIntervalWorker } from './background-workers/interval-worker.ts';
export { BackgroundQueueWorker } from './background-workers/queue-worker.ts';
export type {
  EventWorkerOptions,
  FailedRun,
  IntervalOptions,
  IntervalWorkerOptions,
  QueueOptions,
  QueueWorkerOptions,
  WorkerHooks,
  WorkerOptions,
  WorkerStopOptions,
} from './background-workers/worker-options.ts';
export type { WorkerInfo } from './background-workers/worker-registry.ts';
export type { RunOutcome, RunRequest } from './background-workers/worker-run.ts';
export { backgroundWorker, type WrappedWorker } from './background-workers/wrapped-worker.ts';
export type { Backoff, RetryDelay } from './base/backoff.ts';
export { DoNotRetry } from './base/do-not-retry.ts';
export { type ErrorCode, type ErrorFacts, errorCodes, type RemoteError, TaskwardenError } from './base/errors.ts';
export type { Logger } from './base/logger.ts';
export type { CourierCall } from './couriers/calls/courier-call.ts';
export { type TypedQueue, typedQueue } from './couriers/calls/typed-queue.ts';
export {
  type AddAllOptions,
  type CourierFunction,
  type CourierTaskOptions,
  viaCourier,
} from './couriers/calls/via-courier.ts';
export type {
  AddOptions,
  BulkAddOptions,
  ClientCommand,
  ClientTaskCourier,
  ClientWorkerTaskCourier,
  CourierQueueInfo,
  CourierTask,
  DeadLetter,
  FetchOptions,
  QueueLimits,
  ReturnErrorOptions,
  ReturnOptions,
  TaskCommand,
  TaskUpdate,
  WaitOptions,
  WorkerTaskCourier,
} from './couriers/courier.ts';
export * as courierKit from './couriers/courier-kit.ts';
export { type MemoryCourierOptions, MemoryTaskCourier } from './couriers/memory/memory-courier.ts';
export type {
  CourierTaskState,
  ListedTask,
  ListOptions,
  QueueEvent,
  QueueSubscription,
} from './couriers/queue-view.ts';
export { BaseWorker } from './couriers/workers/base-worker.ts';
export type { BaseWorkerOptions, BulkResults, PerformOptions } from './couriers/workers/base-worker-options.ts';
export { ClassicWorker, type ClassicWorkerOptions } from './couriers/workers/classic-worker.ts';
export type { TaskAndResult } from './couriers/workers/task-results.ts';
export type { CourierTaskContext } from './couriers/workers/tasks-in-flight.ts';
export type {
  EventListener,
  EventName,
  StopReport,
  SupervisorEmitter,
  SupervisorEvents,
} from './dispatch/events/supervisor-events.ts';
export type { HostPoolInfo, PoolInfo } from './dispatch/pool-info.ts';
export type { SupervisorState } from './dispatch/supervisor-state.ts';
export type { RecycleOptions } from './lanes/host-pool/recycling.ts';
export type { RateOptions } from './queue/keys/rate.ts';
export type { Priority } from './queue/priority.ts';
export type { Schedule } from './schedules/schedule.ts';
export type { ScheduleRules, ScheduleState } from './schedules/schedule-spec.ts';
export type { ScheduleOptions, ScheduleSharing, ScheduleTimes, TaskSchedule } from './schedules/schedules.ts';
export type { EverywhereHandle, EverywhereOptions, HostResult } from './supervisor/calls/everywhere.ts';
export type { PauseOptions } from './supervisor/calls/pause-options.ts';
export type { BlockOptions } from './supervisor/life-cycle.ts';
export type { ModuleInfo } from './supervisor/module-registry.ts';
export type { StopOptions } from './supervisor/shutdown.ts';
export { TaskSupervisor, taskSupervisor } from './supervisor/supervisor.ts';
export type { SupervisorInfo } from './supervisor/supervisor-info.ts';
export type { PoolOptions, ProcessOptions, SupervisorOptions, ThreadOptions } from './supervisor/supervisor-options.ts';
export {
  type ModuleOptions,
  type ModuleRegistration,
  type ModuleSupervisor,
  type NewModuleOptions,
  TaskModule,
} from './supervisor/task-module.ts';
export {
  type BackgroundTask,
  type BackgroundTaskDecorator,
  backgroundTask,
  decoratedTask,
  type TasksFrom,
  tasksFrom,
} from './task/call/background-task.ts';
export type { BulkHandle, BulkProgress } from './task/call/bulk-handle.ts';
export {
  type Chain,
  type ControlledFunction,
  ControlledTask as Task,
  type Controller,
  chain,
  controller,
  waitUntilDone,
} from './task/call/controlled.ts';
export type { SendOptions, TaskHandle } from './task/call/handle.ts';
export type { MapOptions, MapOutcome } from './task/call/map-tasks.ts';
export type { PutOptions } from './task/call/target.ts';
export type {
  TaskCallback,
  TaskCap,
  TaskOptions,
  TaskResult,
  TaskSubmitter,
  TaskYield,
} from './task/call/task-options.ts';
export type { TaskFunction } from './task/definition/definition.ts';
export type { AllOptions, BulkOptions } from './task/inputs/bulk-options.ts';
export { currentTask, type ReceiveOptions, type TaskContext } from './task/inside/context.ts';
export { type ContextCarrier, type ContextHooks, contextCarrier } from './task/inside/context-carrier.ts';
export { type LaneSetup, type LaneTeardown, laneSetup } from './task/inside/lane-setup.ts';
export type { KeptWork } from './task/inside/steps.ts';
export { type Transferable, transferred } from './task/inside/transferred.ts';
export type { Progress } from './task/record/progress.ts';
export type { EndReason, TaskFilter, TaskInfo } from './task/record/task-info.ts';
export type { TaskStatus } from './task/record/task-status.ts';
export type { TaskType } from './task/record/task-type.ts';
