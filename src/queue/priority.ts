/** How urgent tasks are. */

/** From the most to the least urgent. */
export const priorities = ['critical', 'high', 'normal', 'low'] as const;

/** How urgent a task is. A more urgent task starts before all less urgent ones, and has slots reserved for it. */
export type Priority = (typeof priorities)[number];
