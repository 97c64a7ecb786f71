/** What both controllers take, and how it is checked. */
import { checkOptions, rules } from '../../base/options.ts';
import { courierKit } from '../../index.ts';
import { connectionRule, type RedisConnection } from '../redis-client.ts';

export interface RedisControllerOptions {
  /** Beside a client that is given, connections of the controller's own are opened and closed. */
  readonly connection: RedisConnection;
  /** What the task gets for the text of an item. Default: the text. What it throws is thrown by the controller. */
  readonly parse?: (text: string) => unknown;
  /**
   * Hears once of each time that Redis can't be reached, or can't do what it is asked: that is waited for. Default: a line
   * on the console.
   */
  readonly onError?: (error: unknown) => void;
}

const optionRules = { connection: connectionRule, parse: rules.function, onError: rules.function };

/** Throws for a bad key, channel or option. */
export function checkControllerOptions(
  name: unknown,
  options: RedisControllerOptions,
  owner: string,
  what: string,
): void {
  rules.string(name, `the ${what} of ${owner}`);
  checkOptions(options, optionRules, owner);
  connectionRule(options.connection, `option "connection" of ${owner}`);
}

/** Tells of an outage; what `onError` throws harms nobody. */
export function outageReporter({ onError }: RedisControllerOptions, owner: string): (error: Error) => void {
  const report = onError ?? ((error: Error) => console.warn(`${owner}: ${error.message}`));
  return (error) => courierKit.callSafely(report, error, () => {});
}
