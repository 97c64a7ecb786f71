/** How BullMQ's own classes are connected, by the URL of the server. */
import { type ConnectionOptions, createPostgresBackend, setDefaultBackendFactory } from 'bullmq';

/** All classes of this process use the kind of server that was named last. */
export function plainConnection(url: string): ConnectionOptions {
  if (!url.startsWith('postgres:')) return { url, maxRetriesPerRequest: null };
  setDefaultBackendFactory(createPostgresBackend);
  return { connectionString: url, migrate: true } as ConnectionOptions;
}

/**
 * On PostgreSQL, `QueueEvents` misses some events when jobs end at the same time: it reads on from the highest number it has
 * seen, and transactions with lower ones may be committed later.
 */
export function losesEvents(url: string): boolean {
  return url.startsWith('postgres:');
}
