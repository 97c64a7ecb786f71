import { testLane } from './lane.ts';

testLane({ type: 'process', pool: 'processes' });
