import { testCalling } from './calling.ts';

testCalling({ type: 'thread', pool: 'threads' });
