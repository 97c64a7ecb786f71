import { testHosts } from './hosts.ts';

testHosts({ type: 'thread', pool: 'threads' });
