import { testTalking } from './talking.ts';

// Tasks share children.
testTalking({ type: 'process', pool: 'processes', options: { concurrentTasks: 3 } });
