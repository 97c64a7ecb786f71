/** What the program that adds the orders and the one that does them agree on. */
import { SqliteTaskCourier } from 'taskwarden/sqlite';

export const queueName = 'orders';

/** Short, so that nobody waits long for the orders of a program that was killed. */
const leaseMs = 1_000;

/** What an order takes, in this order. */
export const steps = ['charge', 'mail'] as const;

/** One that lets an order lose as many leases as it may. */
export function openCourier(file: string): SqliteTaskCourier {
  return new SqliteTaskCourier(file, { leaseMs, maxStalls: Infinity });
}
