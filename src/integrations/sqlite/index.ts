/** The public names of taskwarden/sqlite, and nothing else. */
export { type SqliteCourierOptions, SqliteTaskCourier } from './sqlite-courier.ts';
