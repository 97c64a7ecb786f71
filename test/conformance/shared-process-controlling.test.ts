import { testControlling } from './controlling.ts';

// Tasks share children.
testControlling({ type: 'process', pool: 'processes', options: { concurrentTasks: 3 } });
