/** The public names of taskwarden, and nothing else. */
export { BaseWorker, type BaseWorkerOptions, type BulkResults, type PerformOptions } from './couriers/base-worker.ts';
export { ClassicWorker, type ClassicWorkerOptions } from './couriers/classic-worker.ts';
export type {
  AddOptions,
  BulkAddOptions,
  ClientTaskCourier,
  ClientWorkerTaskCourier,
  CourierNews,
  CourierOrder,
  CourierQueueInfo,
  CourierTask,
  DeadLetter,
  FetchOptions,
  ReturnErrorOptions,
  WaitOptions,
  WorkerTaskCourier,
} from './couriers/courier.ts';
export type { CourierCall } from './couriers/courier-call.ts';
export * as courierKit from './couriers/courier-kit.ts';
export { type MemoryCourierOptions, MemoryTaskCourier } from './couriers/memory-courier.ts';
export type { TaskAndResult } from './couriers/task-results.ts';
export type { CourierTaskContext, TaskOrder } from './couriers/tasks-in-hand.ts';
export { viaCourier } from './couriers/via-courier.ts';
export { type ErrorCode, type ErrorFacts, errorCodes, TaskwardenError } from './errors.ts';
export type { EventListener, EventName, StopReport, SupervisorEmitter, SupervisorEvents } from './events.ts';
export type { RecycleOptions } from './lanes/renewal.ts';
export type { Logger } from './logger.ts';
export type { ScheduleOptions, ScheduleSharing, ScheduleTimes, TaskSchedule } from './schedules.ts';
export type { Priority } from './scheduling/priority-pool.ts';
export type { Schedule, ScheduleRules, ScheduleState } from './scheduling/schedule.ts';
export type { StopOptions } from './shutdown.ts';
export {
  type BlockOptions,
  type SupervisorState,
  TaskSupervisor,
  taskSupervisor,
} from './supervisor.ts';
export type { HostPoolInfo, ModuleInfo, PoolInfo, SupervisorInfo, WorkerInfo } from './supervisor-info.ts';
export type { PoolOptions, ProcessOptions, SupervisorOptions, ThreadOptions } from './supervisor-options.ts';
export {
  type BackgroundTask,
  type BackgroundTaskDecorator,
  backgroundTask,
  decoratedTask,
  type TasksFrom,
  tasksFrom,
} from './task/background-task.ts';
export { currentTask, type Progress, type ReceiveOptions, type TaskContext } from './task/context.ts';
export { type ContextCarrier, type ContextHooks, contextCarrier } from './task/context-carrier.ts';
export {
  type Chain,
  type ControlledFunction,
  ControlledTask as Task,
  type Controller,
  chain,
  controller,
  waitUntilDone,
} from './task/controlled.ts';
export type { TaskFunction } from './task/definition.ts';
export type { SendOptions, TaskHandle } from './task/handle.ts';
export type { EndReason, TaskFilter, TaskInfo } from './task/info.ts';
export { type LaneSetup, type LaneTeardown, laneSetup } from './task/lane-setup.ts';
export type { MapOptions } from './task/map-tasks.ts';
export type { TaskStatus } from './task/status.ts';
export type { PutOptions } from './task/target.ts';
export type {
  TaskCallback,
  TaskCap,
  TaskOptions,
  TaskResult,
  TaskSubmitter,
  TaskType,
  TaskYield,
} from './task/task-options.ts';
export { type Transferable, transferred } from './task/transferred.ts';
export { type ModuleOptions, type NewModuleOptions, TaskModule } from './task-module.ts';
export {
  BackgroundWorker,
  type WorkerState,
  type WorkerSupervisor,
} from './workers/background-worker.ts';
export { BackgroundEventWorker } from './workers/event-worker.ts';
export { BackgroundIntervalWorker } from './workers/interval-worker.ts';
export { BackgroundQueueWorker } from './workers/queue-worker.ts';
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
} from './workers/worker-options.ts';
export type { RunOutcome, RunRequest } from './workers/worker-run.ts';
export { backgroundWorker, type WrappedWorker } from './workers/wrapped-worker.ts';
