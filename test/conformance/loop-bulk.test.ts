import { testBulk } from './bulk.ts';

testBulk({ type: 'loop', pool: 'loop' });
