import { testTalking } from './talking.ts';

testTalking({ type: 'process', pool: 'processes' });
