/** What an attempt keeps for the next ones: in memory, and before that where the task came from. */
import type { KeepMessage, KeptMessage } from '../../task/inside/task-message.ts';
import type { Task } from '../../task/record/task.ts';

/** @param answer Sends the attempt its answer. */
export function keepWork(task: Task, message: KeepMessage, answer: (message: KeptMessage) => void): void {
  const { number, name, work } = message;
  const keepElsewhere = task.options.delivery?.keepWork;
  if (keepElsewhere === undefined) {
    keepInMemory(task, name, work);
    answer({ topic: 'kept', number });
    return;
  }
  const { attempt } = task;
  const isOver = () => task.isSettled || task.attempt !== attempt || task.status !== 'started';
  void keepElsewhere(name, work).then(
    () => {
      if (!task.isSettled) keepInMemory(task, name, work);
      if (!isOver()) answer({ topic: 'kept', number });
    },
    (error: unknown) => {
      if (!isOver()) answer({ topic: 'kept', number, refusal: { error } });
    },
  );
}

/** What was given to an attempt stays as it was. */
function keepInMemory(task: Task, name: string, work: Uint8Array): void {
  task.keptWork = new Map(task.keptWork).set(name, work);
}
