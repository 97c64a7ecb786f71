/** Limits hold for several machines on a real Redis and a real PostgreSQL. */
import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll } from 'vitest';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Server } from '../servers/server.ts';
import { limitedMachines, type Shared } from './limited-machines.ts';

const servers: Server[] = [];
let places = 0;

afterAll(() => Promise.all(servers.map((server) => server.stop())));

/** Places with names of their own on one server, which is started for the first. */
function placesOf(start: () => Promise<Server>): () => Promise<Shared> {
  let starting: Promise<Server> | undefined;
  return async () => {
    starting ??= start();
    const server = await starting;
    if (!servers.includes(server)) servers.push(server);
    places += 1;
    const prefix = `shared${places}`;
    return {
      create: (leaseMs) => new BullMQTaskCourier(server.url, { prefix, leaseMs }),
      args: [server.url, prefix],
      end: async () => {},
    };
  };
}

limitedMachines('Redis', placesOf(startRedis));
limitedMachines('PostgreSQL', placesOf(startPostgres));
