/**
 * The order of the test files: those that take longest begin first, so that no processor waits for the last of them. Files
 * that share processes come one after the other, for vitest ends such a process before the first file that does not.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those of ten seconds and more on two cores, most of which they wait. */
const longest = [
  'integrations/limited-machines',
  'integrations/celery-thousand',
  'cli/map',
  'cli/queue',
  'conformance/bullmq-postgres-courier',
  'readme',
  'lanes/children',
  'lanes/load-limits',
  'conformance/sqlite-courier',
  'examples-service',
  'conformance/process-hosts',
  'integrations/celery-task',
  'integrations/foreign-writers',
  'integrations/redis-controllers',
  'conformance/thread-hosts',
  'integrations/celery-takeover',
  'hostile/postgres-courier-doors',
  'examples-cluster',
  'conformance/bullmq-redis-courier',
  'hostile/globals',
  'integrations/bullmq-edges',
];

/** Where a file that is not among them comes, by the project that it is of: those of `plain` take no time at all. */
const projects = ['sharing', 'sqlite', 'isolated', 'plain'];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rankOf(a) - rankOf(b));
  }
}

function rankOf({ moduleId, project }: TestSpecification): number {
  const place = longest.findIndex((each) => moduleId.endsWith(`/test/${each}.test.ts`));
  return place < 0 ? longest.length + projects.indexOf(project.name) : place;
}
