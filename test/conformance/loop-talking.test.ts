import { testTalking } from './talking.ts';

testTalking({ type: 'loop', pool: 'loop' });
