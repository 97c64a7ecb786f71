import { testControlling } from './controlling.ts';

testControlling({ type: 'loop', pool: 'loop' });
