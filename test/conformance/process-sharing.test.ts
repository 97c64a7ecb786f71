import { testSharing } from './sharing.ts';

testSharing({ type: 'process', pool: 'processes' });
