/** Waiting for what supervisors and handles tell. */
import type { EventName, Progress, SupervisorEvents, TaskHandle, TaskSupervisor } from 'taskwarden';

/** The payload of the next event of this name that the test wants. */
export function heard<E extends EventName>(
  supervisor: TaskSupervisor,
  event: E,
  isWanted: (payload: SupervisorEvents[E]) => boolean = () => true,
): Promise<SupervisorEvents[E]> {
  return new Promise((resolve) => {
    const listener = (payload: SupervisorEvents[E]) => {
      if (!isWanted(payload)) return;
      supervisor.off(event, listener);
      resolve(payload);
    };
    supervisor.on(event, listener);
  });
}

/** The first progress report of a task: its function has begun. */
export function begun(handle: TaskHandle<unknown>): Promise<Progress> {
  return new Promise((resolve) => {
    handle.onProgress(resolve);
  });
}

/** What the task ended with, if it was a failure. */
export function failure(handle: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(handle).then(
    (value) => {
      throw new Error(`it should have failed, but gave ${String(value)}`);
    },
    (error: unknown) => error,
  );
}
