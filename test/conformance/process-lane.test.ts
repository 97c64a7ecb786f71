import { testLane } from './lane.ts';
import { testTalking } from './talking.ts';

testLane({ type: 'process', pool: 'processes' });
testTalking({ type: 'process', pool: 'processes' });
