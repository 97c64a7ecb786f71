/** The couriers that a case makes are closed at its end. */
import type { ClientWorkerTaskCourier } from 'taskwarden';
import { afterEach } from 'vitest';

type Create<Options> = (options: Options) => Promise<ClientWorkerTaskCourier>;

export function closedAfterEach<Options>(create: Create<Options>): Create<Options> {
  const open: ClientWorkerTaskCourier[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
  });
  return async (options) => {
    const made = await create(options);
    open.push(made);
    return made;
  };
}
