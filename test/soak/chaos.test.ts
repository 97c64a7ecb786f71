/** A longer chaos on threads and children: CHAOS_MINUTES=10 CHAOS_SEED=<seed> npm run test:soak -- chaos */
import { supervisorChaos } from '../chaos/supervisor.ts';

supervisorChaos({ minutes: 3 });
