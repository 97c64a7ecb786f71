/** The error of a result that can't be sent from a thread or child to the program. */
import { TaskwardenError } from '../../base/errors.ts';
import { isInstance, messageOf } from '../../base/foreign-value.ts';

export function uncloneableResult(cause: unknown): TaskwardenError {
  const isDeep = isInstance(cause, RangeError);
  return new TaskwardenError(
    'RESULT_NOT_CLONEABLE',
    `the result can't be copied back to the program: ${isDeep ? 'it is nested too deeply, or too large' : messageOf(cause)}; ` +
      `return ${isDeep ? 'flatter data, or text such as JSON' : 'plain data, without functions, sockets or other live things'}`,
    { cause },
  );
}
