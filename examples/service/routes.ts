/** The routes of the service. They accept, look up and count; what takes time is done elsewhere. */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { TaskwardenError, taskSupervisor } from 'taskwarden';
import type { UploadRecords } from './records.ts';
import type { SettingsFile } from './settings.ts';

export interface RoutesOptions {
  readonly records: UploadRecords;
  readonly settings: SettingsFile;
  /** Asks for a reload of the settings. False: there will be none. */
  readonly reload: () => boolean;
}

/** How long a client is to wait before it tries again, in seconds. */
const retryAfter = '1';

export function routesOf({ records, settings, reload }: RoutesOptions): Hono {
  const app = new Hono();

  app.use(async (c, next) => {
    await next();
    if (taskSupervisor.state !== 'running') c.header('Connection', 'close');
  });

  app.post(
    '/uploads',
    (c, next) => {
      const { maxBytes: maxSize } = settings.current;
      const onError = () => c.json({ error: `a body has ${maxSize} bytes at most` }, 413);
      return bodyLimit({ maxSize, onError })(c, next);
    },
    async (c) => {
      const body = new Uint8Array(await c.req.arrayBuffer());
      // From here to the queue nothing else happens: what is answered 202 was accepted before the stop, and is finished.
      if (taskSupervisor.state !== 'running') {
        return c.json({ error: 'the service stops' }, 503, { 'Retry-After': retryAfter });
      }
      try {
        const record = await records.accept(body);
        return c.json(record, 202, { Location: `/uploads/${record.id}` });
      } catch (error) {
        if (!(error instanceof TaskwardenError) || error.code !== 'QUEUE_FULL') throw error;
        // To wait for room here would keep the body, and those of all others that wait. The client keeps its own.
        return c.json({ error: 'too many uploads wait' }, 503, { 'Retry-After': retryAfter });
      }
    },
  );

  app.get('/uploads/:id', (c) => {
    const record = records.find(c.req.param('id'));
    return record === undefined ? c.json({ error: 'there is no such upload' }, 404) : c.json(record);
  });

  app.post('/reload', (c) => (reload() ? c.json({}, 202) : c.json({ error: 'the service stops' }, 503)));

  app.get('/health', (c) => {
    const supervisor = taskSupervisor.getInfo();
    const status = supervisor.state === 'running' ? 200 : 503;
    return c.json({ settings: settings.current, uploads: records.counts, supervisor }, status);
  });

  return app;
}
