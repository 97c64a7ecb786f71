/**
 * The couriers of a suite's cases. Those of a group share one, each with queues that no other case uses: to open one takes
 * longer than most cases. One that a case configures or closes is its own.
 */
import type { ClientWorkerTaskCourier } from 'taskwarden';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';

type Create<Options> = (options: Options) => Promise<ClientWorkerTaskCourier>;

/** What a case is given before it begins. */
interface Given {
  readonly courier: ClientWorkerTaskCourier;
  readonly queue: string;
  readonly otherQueue: string;
}

/** A `describe` whose cases share a courier. */
type DescribeSharing<Options> = (name: string, options: Options, cases: () => void) => void;

let cases = 0;

export function sharedInGroups<Options>(
  create: Create<Options>,
  give: (given: Given) => void,
): DescribeSharing<Options> {
  return (name, options, addCases) => {
    describe(name, () => {
      let courier: ClientWorkerTaskCourier;
      beforeAll(async () => {
        courier = await create(options);
      });
      afterAll(() => courier.close());
      beforeEach(() => {
        cases += 1;
        give({ courier, queue: `work-${cases}`, otherQueue: `other-${cases}` });
      });
      addCases();
    });
  };
}

/** The couriers that a case makes are closed at its end. */
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
