/** An owner that a task by itself needs, and that does nothing. */
import type { Task } from '../../src/task/record/task.ts';
import type { TaskOwner } from '../../src/task/record/task-owner.ts';

export const noOwner: TaskOwner<Task> = {
  assignId: (task) => `id-${task.sequence}`,
  cancel: () => false,
  stop: () => {},
  setPriority: () => false,
  send: () => {},
  onAwaited: () => {},
  lenderOf: () => undefined,
};
