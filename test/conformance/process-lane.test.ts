import { testCalling } from './calling.ts';
import { testLane } from './lane.ts';
import { testTalking } from './talking.ts';

testLane({ type: 'process', pool: 'processes' });
testTalking({ type: 'process', pool: 'processes' });
testCalling({ type: 'process', pool: 'processes' });
