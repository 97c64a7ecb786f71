/** How urgent tasks are. */

/** From the most urgent to the least. */
export const priorities = ['critical', 'high', 'normal', 'low'] as const;

/** How urgent a task is. A higher one starts before all lower ones, and finds slots that are kept for it. */
export type Priority = (typeof priorities)[number];
