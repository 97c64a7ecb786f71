import { testHosts } from './hosts.ts';

testHosts({ type: 'process', pool: 'processes' });
