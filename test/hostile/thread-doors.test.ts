import { testDoors } from './doors.ts';

testDoors({ type: 'thread', pool: 'threads' });
