/** A minute of chaos on threads and children. To do the same again: CHAOS_SEED=<seed> npx vitest run test/chaos */
import { supervisorChaos } from './supervisor.ts';

supervisorChaos({ minutes: 1 });
