import { testCalling } from './calling.ts';
import { testLane } from './lane.ts';
import { testTalking } from './talking.ts';

testLane({ type: 'loop', pool: 'loop' });
testTalking({ type: 'loop', pool: 'loop' });
testCalling({ type: 'loop', pool: 'loop' });
