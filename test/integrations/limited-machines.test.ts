/** Limits hold for several machines on a real Redis and a real PostgreSQL. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';
import { limitedMachines, type Shared } from './limited-machines.ts';

async function share(server: Server): Promise<Shared> {
  return {
    create: (leaseMs) => new BullMQTaskCourier(server.url, { prefix: 'shared', leaseMs }),
    args: [server.url, 'shared'],
    end: () => server.stop(),
  };
}

limitedMachines('Redis', async () => share(await startRedis()));
limitedMachines('PostgreSQL', async () => share(await startPostgres()));
