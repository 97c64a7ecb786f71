import { testBulk } from './bulk.ts';

testBulk({ type: 'process', pool: 'processes' });
