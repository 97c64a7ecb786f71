import { testLane } from './lane.ts';

testLane({ type: 'thread', pool: 'threads' });
