import { testLane } from './lane.ts';

testLane({ type: 'loop', pool: 'loop' });
