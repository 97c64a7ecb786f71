/** An owner that a task by itself needs, and that does nothing. */
import type { TaskOwner } from '../../src/task/task-owner.ts';

export const noOwner: TaskOwner = {
  nameTask: (task) => `id-${task.sequence}`,
  cancel: () => false,
  stop: () => {},
  tell: () => {},
  awaited: () => {},
  lenderOf: () => undefined,
};
