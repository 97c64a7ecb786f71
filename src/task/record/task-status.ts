/**
 * The statuses of a task, and the transitions between them:
 *
 *   delayed ──▶ queued ──▶ started ──▶ completed | failed | canceled
 *      ▲          ▲          │
 *      │          └──────────┤  its thread or child died before it began
 *      └─────────────────────┘  it is retried
 *
 * A delayed or queued task can also become failed (refused, expired) or canceled.
 */
export type TaskStatus = 'delayed' | 'queued' | 'started' | 'completed' | 'failed' | 'canceled';

const next: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  delayed: ['queued', 'failed', 'canceled'],
  queued: ['started', 'failed', 'canceled'],
  started: ['delayed', 'queued', 'completed', 'failed', 'canceled'],
  completed: [],
  failed: [],
  canceled: [],
};

export function canBecome(from: TaskStatus, to: TaskStatus): boolean {
  return next[from].includes(to);
}
