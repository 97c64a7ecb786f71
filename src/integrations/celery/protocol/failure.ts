/** Errors on their way between Node and Python. */
import { courierKit, type RemoteError, TaskwardenError } from '../../../index.ts';
import { isText, objectOf } from './envelope.ts';
import { toJson } from './json.ts';
import type { ResultRecord, StoredException } from './result.ts';

const { fieldOf, messageOf, textOf } = courierKit;

/** Texts of errors are cut to this many characters. */
const maxTextLength = 64 * 1_024;

/** No module of Python has this name, so that Python makes an exception class of the name of the error's class. */
const ownModule = 'taskwarden.errors';

/** Which exception Python gets for what a function threw. One that came from Python is itself again. Never throws. */
export function writeException(thrown: unknown): StoredException {
  const remote = remoteOf(thrown);
  if (remote !== undefined) {
    return { exc_type: remote.type, exc_message: remote.args, exc_module: remote.module };
  }
  const isOurs = thrown instanceof TaskwardenError;
  const name = isOurs ? 'TaskwardenError' : textOf(fieldOf(thrown, 'name') ?? 'Error');
  const message = isOurs ? `${thrown.code}: ${messageOf(thrown)}` : messageOf(thrown);
  return {
    exc_type: /^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name) ? name : 'Error',
    exc_message: [message.slice(0, maxTextLength)],
    exc_module: ownModule,
  };
}

/** What is stored as its traceback: the stack, or the traceback that it came with. Never throws. */
export function tracebackOf(thrown: unknown): string {
  const traceback = remoteOf(thrown)?.traceback ?? fieldOf(thrown, 'stack');
  return (isText(traceback) ? traceback : messageOf(thrown)).slice(0, maxTextLength);
}

function remoteOf(thrown: unknown): RemoteError | undefined {
  if (!(thrown instanceof TaskwardenError)) return undefined;
  const remote = fieldOf(thrown, 'remote');
  return objectOf(remote) === undefined ? undefined : (remote as RemoteError);
}

/** The exception of a record, whatever a program has stored. */
export function readException({ result, traceback }: ResultRecord): RemoteError {
  const stored = objectOf(result);
  const { exc_type: type, exc_module: module, exc_message: message } = stored ?? {};
  const args = Array.isArray(message) ? message : message === undefined || message === null ? [] : [message];
  return {
    type: isText(type) ? type : 'Exception',
    module: isText(module) ? module : 'builtins',
    message: stored === undefined && isText(result) ? result : args.map(argText).join(', '),
    args,
    traceback,
  };
}

function argText(arg: unknown): string {
  return isText(arg) ? arg : toJson(arg, 'an argument');
}
