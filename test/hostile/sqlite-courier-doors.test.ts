import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteTaskCourier } from 'taskwarden/sqlite';
import { afterAll } from 'vitest';
import { testCourierDoors } from './courier-doors.ts';

const folder = mkdtempSync(join(tmpdir(), 'taskwarden-sqlite-'));

afterAll(() => rmSync(folder, { recursive: true }));

testCourierDoors('SqliteTaskCourier', () => new SqliteTaskCourier(join(folder, 'tasks.db')));
