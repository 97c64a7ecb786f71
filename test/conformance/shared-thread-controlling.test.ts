import { testControlling } from './controlling.ts';

// Tasks share threads.
testControlling({ type: 'thread', pool: 'threads', options: { concurrentTasks: 3 } });
