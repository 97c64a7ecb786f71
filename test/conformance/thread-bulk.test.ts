import { testBulk } from './bulk.ts';

testBulk({ type: 'thread', pool: 'threads' });
