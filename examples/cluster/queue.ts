/** What the client and the workers have to agree on. */

export const queueName = 'checksums';

/**
 * How long a worker has a task before it must say that it is still there, in milliseconds; it does that by itself. What a
 * dead one had comes to others after up to one and a half of this. The default of 30,000 suits machines that may stall.
 */
export const leaseMs = 2_000;
