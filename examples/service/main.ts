/**
 * A service that inspects texts: it accepts them, works on them in threads, and gives the results to who asks.
 * Here it is put together, and here are its start and its end.
 *
 *   PORT=3000 SERVICE_SETTINGS=settings.json node --import tsx examples/service/main.ts
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createAdaptorServer } from '@hono/node-server';
import { taskSupervisor } from 'taskwarden';
import { log } from './log.ts';
import { UploadRecords } from './records.ts';
import { routesOf } from './routes.ts';
import { SettingsFile } from './settings.ts';
import { upkeepOf } from './upkeep.ts';
import { uploads, uploadsModule } from './uploads.ts';

const { PORT = '3000', SERVICE_SETTINGS = fileURLToPath(new URL('settings.json', import.meta.url)) } = process.env;

const settings = await SettingsFile.open(SERVICE_SETTINGS);
const records = new UploadRecords(taskSupervisor);
const { sweep, reload } = upkeepOf(records, settings);
const app = routesOf({ records, settings, reload: () => reload.trigger() });
const server = createAdaptorServer({ fetch: app.fetch }) as Server;

taskSupervisor.configure({ name: 'service', threads: { minSize: 'max' } });
uploadsModule.maxWorkers = settings.current.maxWorkers;
for (const worker of [uploads, sweep, reload]) worker.start();
process.on('SIGHUP', () => reload.trigger());

// The first SIGINT or SIGTERM lets what was accepted finish, in time; a second one ends all at once.
taskSupervisor.once('supervisor:stopping', () => log('stopping', records.counts));
const stopped = taskSupervisor.block({ wait: settings.current.stopWithinMs });

await taskSupervisor.ready();
server.listen(Number(PORT));
await once(server, 'listening');
log('listening', { port: (server.address() as AddressInfo).port, pid: process.pid });

// Until the last upload has ended, statuses are given, and new uploads refused.
const report = await stopped;
server.close();
setTimeout(() => server.closeAllConnections(), 1_000).unref(); // whoever still sends a body
const { unfinished } = records.counts;
log('stopped', { ...records.counts, ...report });
process.exitCode = unfinished > 0 ? 1 : 0;
