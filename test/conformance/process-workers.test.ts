/** The suite of background workers whose runs are in child processes. */
import { testWorkers } from './workers.ts';

testWorkers('process');
