import { testCalling } from './calling.ts';

testCalling({ type: 'loop', pool: 'loop' });
