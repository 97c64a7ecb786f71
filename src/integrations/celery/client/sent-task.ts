/** A message in the list of its queue, and what can be done about it from there on. */
import { type ControlCommand, writeCommand } from '../protocol/control.ts';
import type { OutgoingTask } from '../protocol/message.ts';
import { storeScript, writeResult } from '../protocol/result.ts';
import type { Link } from './link.ts';

/** How long Celery keeps a result by default, in seconds. */
const keptSeconds = 86_400;

export class SentTask {
  readonly #link: Link;
  readonly #task: OutgoingTask;
  readonly #text: string;

  /** Sends nothing yet. */
  constructor(link: Link, task: OutgoingTask, text: string) {
    this.#link = link;
    this.#task = task;
    this.#text = text;
  }

  get #list(): string {
    return this.#link.names.list(this.#task.queue, this.#task.priority);
  }

  /** What an earlier attempt or task of this id has left is no result of this one. */
  async forget(): Promise<void> {
    await this.#link.backend.attempt((redis) => redis.del(this.#link.names.result(this.#task.id)));
  }

  /** @throws NotAnswered; then it may have been sent. */
  async send(): Promise<void> {
    await this.#link.broker.attempt((redis) => redis.lpush(this.#list, this.#text));
    this.#link.broker.admit();
  }

  /** Whether the broker or the backend has anything of it, after a connection was lost while it was sent. */
  async isKnown(): Promise<boolean> {
    const { broker, backend, names } = this.#link;
    const { delivery_tag: tag } = JSON.parse(this.#text).properties;
    const [place, isTaken] = await broker.insist((redis) =>
      Promise.all([redis.lpos(this.#list, this.#text), redis.hexists(names.unacked, tag)]),
    );
    if (place !== null || isTaken === 1) return true;
    return (await backend.insist((redis) => redis.exists(names.result(this.#task.id)))) === 1;
  }

  /** Takes it out of the list: then nobody will run it. False if a worker has it, or had it. */
  async takeBack(): Promise<boolean> {
    return (await this.#link.broker.insist((redis) => redis.lrem(this.#list, 1, this.#text))) === 1;
  }

  /** Says to all who wait for it that it was revoked. Called once it was taken back. */
  async storeRevoked(reason: 'revoked' | 'expired'): Promise<void> {
    const { id } = this.#task;
    const record = writeResult({
      taskId: id,
      state: 'REVOKED',
      result: { exc_type: 'TaskRevokedError', exc_message: [reason], exc_module: 'celery.exceptions' },
      traceback: undefined,
      dateDone: new Date(),
    });
    const { backend, names } = this.#link;
    await backend.insist((redis) => redis.eval(storeScript, 1, names.result(id), record, keptSeconds));
  }

  /** Tells all workers not to run it; with `terminate`, to end it where it runs. */
  async revoke(terminate: boolean): Promise<void> {
    await this.#tell({ method: 'revoke', arguments: { terminate, ...(terminate && { signal: 'SIGTERM' }) } });
  }

  /** Asks it to finish, if it runs in a worker of taskwarden. A Python function can't be asked. */
  async stop(): Promise<void> {
    await this.#tell({ method: 'stop_task', arguments: {}, ...ours });
  }

  /** Sends it data, if it runs in a worker of taskwarden. @throws TypeError for what is no JSON. */
  async message(data: unknown): Promise<void> {
    await this.#tell({ method: 'send_to_task', arguments: { data }, ...ours });
  }

  async #tell(command: ControlCommand): Promise<void> {
    const { broker, names } = this.#link;
    const text = writeCommand({ ...command, arguments: { task_id: this.#task.id, ...command.arguments } });
    await broker.insist((redis) => redis.publish(names.pidbox, text));
  }
}

/** The nodes that know these commands; others would log an error. */
const ours = { pattern: 'taskwarden*', matcher: 'glob' };
