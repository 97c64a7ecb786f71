/**
 * The options of a supervisor as they are now: `configure()` changes them while it runs, and all its parts read them
 * here.
 */
import { type Logger, safeLogger } from '../base/logger.ts';
import { mergeOptions, type ResolvedOptions, resolveOptions, type SupervisorOptions } from './supervisor-options.ts';

export class CurrentOptions {
  #given: SupervisorOptions;
  #current: ResolvedOptions;
  #logger: Logger;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: SupervisorOptions) {
    this.#given = mergeOptions({}, options, 'TaskSupervisor');
    this.#current = resolveOptions(this.#given);
    this.#logger = safeLogger(this.#current.logger);
  }

  get current(): ResolvedOptions {
    return this.#current;
  }

  /** It never throws. */
  get logger(): Logger {
    return this.#logger;
  }

  /** What is not named stays. Changes nothing if it throws. */
  change(changes: SupervisorOptions): void {
    const given = mergeOptions({ ...this.#given, id: this.#current.id }, changes, 'configure()');
    this.#current = resolveOptions(given);
    this.#given = given;
    this.#logger = safeLogger(this.#current.logger);
  }
}
