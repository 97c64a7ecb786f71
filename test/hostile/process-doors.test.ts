import { testDoors } from './doors.ts';

testDoors({ type: 'process', pool: 'processes' });
