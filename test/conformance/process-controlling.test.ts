import { testControlling } from './controlling.ts';

testControlling({ type: 'process', pool: 'processes' });
