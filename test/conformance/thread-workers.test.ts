/** The suite of background workers whose runs are in threads. */
import { testWorkers } from './workers.ts';

testWorkers('thread');
