/**
 * What a task can be, and what it can become:
 *
 *   delayed ──▶ queued ──▶ started ──▶ completed | failed | canceled
 *      ▲          ▲          │
 *      │          └──────────┤  its thread died before it began
 *      └─────────────────────┘  it is tried again
 *
 * One that is delayed or queued may become failed (refused, expired) or canceled, too.
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
