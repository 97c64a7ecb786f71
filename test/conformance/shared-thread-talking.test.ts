import { testTalking } from './talking.ts';

// Tasks share threads.
testTalking({ type: 'thread', pool: 'threads', options: { concurrentTasks: 3 } });
