/** The three types of tasks, by where they run. */
export const taskTypes = ['thread', 'process', 'loop'] as const;

/** Where a task runs: in a thread, in a child process, or on the main event loop (for I/O; closures work there). */
export type TaskType = (typeof taskTypes)[number];
