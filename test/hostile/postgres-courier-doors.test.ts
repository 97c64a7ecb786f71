import { BullMQTaskCourier } from 'taskwarden/bullmq';
import { afterAll, beforeAll } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { testCourierDoors } from './courier-doors.ts';

let postgres: PostgresServer;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres.stop());

testCourierDoors('BullMQTaskCourier on PostgreSQL', () => new BullMQTaskCourier(postgres.url));
