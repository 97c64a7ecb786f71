import { testControlling } from './controlling.ts';

testControlling({ type: 'thread', pool: 'threads' });
