/** What the parts of a supervisor need to know of it. */
import type { TaskSubmitter } from '../task/call/task-options.ts';

export type SupervisorState = 'idle' | 'running' | 'stopping' | 'stopped';

export interface Startable extends TaskSubmitter {
  readonly name: string;
  readonly state: SupervisorState;
  start(): unknown;
}
