/** `runEverywhere()`: one task for each thread or child, and with `andLater` for those that come. */
import { checkOptions, rules } from '../../base/options.ts';
import type { Admission } from '../../dispatch/admission.ts';
import type { LaneRegistry } from '../../dispatch/lane-registry.ts';
import type { LaneHost } from '../../lanes/lane.ts';
import { Promise } from '../../platform/globals.ts';
import { onHandleEnd, type TaskHandle } from '../../task/call/handle.ts';
import { prepareCall } from '../../task/call/target.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import { foreverPendingPromise, isLoadingModule } from '../../task/definition/load-phase.ts';
import type { LifeCycle } from '../life-cycle.ts';
import { refuseInHost } from './pause-options.ts';

/** A last argument of `runEverywhere()` that has this field, and no other, is not passed to the task. */
export interface EverywhereOptions {
  /** Whether it also runs in threads and children that come later, those that replace others included. Default: false. */
  readonly andLater: boolean;
}

/** What became of the task in one thread or child. */
export type HostResult<T> = PromiseSettledResult<T> & {
  /** The id of the thread, or of the process. */
  readonly hostId: number;
};

/** The results by thread or child, in the order in which these were started. It never rejects. */
export interface EverywhereHandle<T> extends Promise<HostResult<T>[]> {
  /** It runs in no further thread or child. Those in which it runs or waits go on. */
  stop(): void;
  /** The same, and cancels the tasks that have not ended. */
  cancel(reason?: unknown): void;
}

interface EverywhereParts {
  readonly supervisor: { readonly name: string; readonly state: string; start(): unknown };
  readonly lanes: LaneRegistry;
  readonly admission: Admission;
  readonly lifeCycle: LifeCycle;
}

export function runEverywhere(
  { supervisor, lanes, admission, lifeCycle }: EverywhereParts,
  target: TaskFunction,
  given: readonly unknown[],
): EverywhereHandle<unknown> {
  const { args, andLater } = splitArgs(given);
  const { spec, name } = prepareCall(target, { args }, 'runEverywhere()');
  const { hosts } = lanes.of(spec.options.type).lane;
  if (hosts === undefined) {
    throw new TypeError(
      `runEverywhere() takes tasks that run in threads or children; "${name}" runs on the event loop`,
    );
  }
  if (spec.options.unique !== undefined) {
    throw new TypeError(`runEverywhere() takes no task with the option "unique": "${name}" runs once in each host`);
  }
  if (isLoadingModule()) return handleOf(foreverPendingPromise(), new Set(), () => {});
  refuseInHost(`runEverywhere() of ${supervisor.name}`);
  if (supervisor.state === 'idle') supervisor.start();
  if (supervisor.state !== 'running') throw lifeCycle.stoppedError(`"${name}" can't run in its threads and children`);
  const tasks = new Set<TaskHandle<unknown>>();
  const runIn = (host: LaneHost): TaskHandle<unknown> => {
    const handle = admission.submitTo<unknown>(host, spec, args);
    tasks.add(handle);
    onHandleEnd(handle, () => tasks.delete(handle));
    return handle;
  };
  const results = [...hosts].map((host) => resultOf(host.id, runIn(host)));
  const later = (host: LaneHost) => {
    if (supervisor.state === 'running') runIn(host);
  };
  return handleOf(Promise.all(results), tasks, andLater ? hosts.subscribe(later) : () => {});
}

function handleOf(
  results: Promise<HostResult<unknown>[]>,
  tasks: ReadonlySet<TaskHandle<unknown>>,
  stop: () => void,
): EverywhereHandle<unknown> {
  const cancel = (reason?: unknown) => {
    stop();
    for (const task of tasks) task.cancel(reason);
  };
  return Object.assign(results, { stop, cancel });
}

async function resultOf(hostId: number, handle: TaskHandle<unknown>): Promise<HostResult<unknown>> {
  try {
    return { hostId, status: 'fulfilled', value: await handle };
  } catch (reason) {
    return { hostId, status: 'rejected', reason };
  }
}

/** Options can't be told from arguments but by their form. */
function splitArgs(given: readonly unknown[]): { readonly args: readonly unknown[]; readonly andLater: boolean } {
  const last = given.at(-1);
  if (!areOptions(last)) return { args: given, andLater: false };
  checkOptions(last, { andLater: rules.boolean }, 'runEverywhere()');
  return { args: given.slice(0, -1), andLater: last.andLater };
}

function areOptions(value: unknown): value is EverywhereOptions {
  try {
    return typeof value === 'object' && value !== null && Object.keys(value).join() === 'andLater';
  } catch {
    return false; // an argument that can't be looked at
  }
}
