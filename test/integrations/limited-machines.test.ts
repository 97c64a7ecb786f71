/** Limits hold for several machines on a real Redis and a real PostgreSQL. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';
import { limitedMachines, type Shared } from './limited-machines.ts';

/** A place on a server of its own. */
async function shareOn(start: () => Promise<Server>): Promise<Shared> {
  const server = await start();
  const prefix = 'shared';
  return {
    create: (leaseMs) => new BullMQTaskCourier(server.url, { prefix, leaseMs }),
    args: [server.url, prefix],
    end: () => server.stop(),
  };
}

limitedMachines('Redis', () => shareOn(startRedis));
limitedMachines('PostgreSQL', () => shareOn(startPostgres));
