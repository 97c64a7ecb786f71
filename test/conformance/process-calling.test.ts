import { testCalling } from './calling.ts';

testCalling({ type: 'process', pool: 'processes' });
