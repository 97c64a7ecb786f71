import { testBulk } from './bulk.ts';
import { testBulkHosts } from './bulk-hosts.ts';

testBulk({ type: 'thread', pool: 'threads' });
testBulkHosts({ type: 'thread', pool: 'threads', deaths: ['exits', 'throwsLater'] });
