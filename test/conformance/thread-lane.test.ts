import { testCalling } from './calling.ts';
import { testLane } from './lane.ts';
import { testTalking } from './talking.ts';

testLane({ type: 'thread', pool: 'threads' });
testTalking({ type: 'thread', pool: 'threads' });
testCalling({ type: 'thread', pool: 'threads' });
