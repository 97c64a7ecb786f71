/** What the result backend of Celery keeps of a task: its state, with the result or the error. */
import { BadMessage, isText, maxMessageBytes, objectOf } from './envelope.ts';
import { parseTime, timeText, toJson } from './json.ts';
import { isId } from './message.ts';

/** Those in which a task has ended. Programs can store others of theirs, beside Celery's STARTED, RETRY and so on. */
const endStates: readonly string[] = ['SUCCESS', 'FAILURE', 'REVOKED'];

/** Whether a task in this state has ended. */
export function isEndState(state: string): boolean {
  return endStates.includes(state);
}

/** How an exception is stored. */
export interface StoredException {
  readonly exc_type: string;
  readonly exc_message: readonly unknown[];
  /** Python takes the class from there; where it has none of that name, it makes one. */
  readonly exc_module: string;
}

export interface ResultRecord {
  readonly taskId: string;
  readonly state: string;
  /** As it is in the JSON: see `fromPython()`. A stored exception for FAILURE, RETRY and REVOKED. */
  readonly result: unknown;
  readonly traceback: string | undefined;
  readonly dateDone: Date | undefined;
  readonly parentId?: string | undefined;
  readonly groupId?: string | undefined;
  /** The tasks that it has sent, as Celery writes them. Default: none. */
  readonly children?: readonly unknown[];
}

/** @throws TypeError if the result is no JSON, RangeError if it is too large. */
export function writeResult(record: ResultRecord): string {
  const { taskId, state, result, traceback, dateDone, parentId, groupId, children = [] } = record;
  const text = toJson(
    {
      status: state,
      result: result ?? null,
      traceback: traceback ?? null,
      children,
      date_done: dateDone === undefined ? null : timeText(dateDone),
      task_id: taskId,
      parent_id: parentId,
      group_id: groupId,
    },
    'the record',
  );
  if (Buffer.byteLength(text) > maxMessageBytes) {
    throw new RangeError(`a result for Celery must not have more than ${maxMessageBytes} bytes`);
  }
  return text;
}

/** @throws BadMessage */
export function readResult(text: string): ResultRecord {
  if (Buffer.byteLength(text) > maxMessageBytes) throw new BadMessage(`it has more than ${maxMessageBytes} bytes`);
  let record: ReturnType<typeof objectOf>;
  try {
    record = objectOf(JSON.parse(text));
  } catch {
    throw new BadMessage('it is no JSON: result_serializer must be json, and JSON has no NaN and no Infinity');
  }
  const { status, task_id: taskId, traceback, date_done: dateDone, result } = record ?? {};
  if (record === undefined || !isText(status) || !isId(taskId)) throw new BadMessage('it is no result of Celery');
  const { children, parent_id: parentId, group_id: groupId } = record;
  return {
    taskId,
    state: status,
    result,
    traceback: isText(traceback) ? traceback : undefined,
    dateDone: isText(dateDone) ? parseTime(dateDone) : undefined,
    parentId: isId(parentId) ? parentId : undefined,
    groupId: isId(groupId) ? groupId : undefined,
    children: Array.isArray(children) ? children : [],
  };
}

/**
 * Stores and publishes a record at once, unless the task has succeeded already. KEYS: the key, which is the channel, too.
 * ARGV: the record, how many seconds it is kept. Returns 1 if it was stored.
 */
export const storeScript = `
local old = redis.call('GET', KEYS[1])
if old then
  local isRead, record = pcall(cjson.decode, old)
  if isRead and type(record) == 'table' and record.status == 'SUCCESS' then return 0 end
end
redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1`;
