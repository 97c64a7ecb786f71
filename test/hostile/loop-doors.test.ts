import { testDoors } from './doors.ts';

testDoors({ type: 'loop', pool: 'loop' });
