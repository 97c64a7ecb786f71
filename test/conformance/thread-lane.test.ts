import { testLane } from './lane.ts';
import { testTalking } from './talking.ts';

testLane({ type: 'thread', pool: 'threads' });
testTalking({ type: 'thread', pool: 'threads' });
