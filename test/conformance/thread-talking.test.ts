import { testTalking } from './talking.ts';

testTalking({ type: 'thread', pool: 'threads' });
