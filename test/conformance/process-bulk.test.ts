import { testBulk } from './bulk.ts';
import { testBulkHosts } from './bulk-hosts.ts';

testBulk({ type: 'process', pool: 'processes' });
testBulkHosts({ type: 'process', pool: 'processes', deaths: ['exits', 'throwsLater', 'kills'] });
