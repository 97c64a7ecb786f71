/** The suite of background workers whose runs are on the event loop. */
import { testWorkers } from './workers.ts';

testWorkers('loop');
