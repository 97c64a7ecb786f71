/** The messages and results of Celery: what kombu and Celery write is read, and what is not theirs is refused. */
import { deflateSync, gzipSync } from 'node:zlib';
import { TaskwardenError } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import {
  newReply,
  readCommand,
  readReply,
  replyQueue,
  writeCommand,
  writeReply,
} from '../../src/integrations/celery/protocol/control.ts';
import { BadMessage, readBody, readEnvelope } from '../../src/integrations/celery/protocol/envelope.ts';
import { readException, tracebackOf, writeException } from '../../src/integrations/celery/protocol/failure.ts';
import {
  fromPython,
  parseTime,
  pythonArgs,
  pythonText,
  timeText,
  toJson,
} from '../../src/integrations/celery/protocol/json.ts';
import { readTaskMessage, writeTaskMessage } from '../../src/integrations/celery/protocol/message.ts';
import { bindingMember, boundQueues, Names, prioritySteps } from '../../src/integrations/celery/protocol/names.ts';
import { isEndState, readResult, writeResult } from '../../src/integrations/celery/protocol/result.ts';
import { celeryProject, python } from '../servers/celery.ts';

/** An envelope as kombu writes it, with changes. */
function envelope(
  changes: object = {},
  { headers = {}, properties = {} }: { headers?: object; properties?: object } = {},
) {
  return JSON.stringify({
    body: Buffer.from(
      '[[2, 3], {"base": 10}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]',
    ).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers: { lang: 'py', task: 'proj.add', id: 'one', retries: 0, timelimit: [null, null], ...headers },
    properties: {
      correlation_id: 'one',
      reply_to: 'client',
      delivery_mode: 2,
      delivery_info: { exchange: '', routing_key: 'celery' },
      priority: 0,
      body_encoding: 'base64',
      delivery_tag: 'tag',
      ...properties,
    },
    ...changes,
  });
}

const read = (text: string) => readTaskMessage(readEnvelope(text));

describe('a message of a task', () => {
  it('is read', () => {
    const message = read(
      envelope(
        {},
        {
          headers: {
            eta: '2030-01-02T03:04:05.000006+00:00',
            expires: '2030-01-02T05:04:05+01:00',
            retries: 2,
            timelimit: [3, 1.5],
            root_id: 'root',
            parent_id: 'parent',
            group: 'group',
            group_index: 4,
            ignore_result: true,
          },
          properties: { priority: 12.5 },
        },
      ),
    );
    expect(message).toMatchObject({
      id: 'one',
      task: 'proj.add',
      args: [2, 3],
      kwargs: { base: 10 },
      embed: { callbacks: [], errbacks: [], chain: [], chord: undefined },
      eta: new Date('2030-01-02T03:04:05.000Z'),
      expires: new Date('2030-01-02T04:04:05Z'),
      retries: 2,
      timeLimits: { hardMs: 3_000, softMs: 1_500 },
      rootId: 'root',
      parentId: 'parent',
      groupId: 'group',
      groupIndex: 4,
      ignoresResult: true,
      replyTo: 'client',
      envelope: { deliveryTag: 'tag', exchange: '', routingKey: 'celery', priority: 9, isRedelivered: false },
    });
  });

  it('is written as it is read', () => {
    const chain = [{ task: 'proj.next', args: [], kwargs: {}, options: {} }];
    const eta = new Date('2030-01-01T00:00:00.000Z');
    const text = writeTaskMessage({
      id: 'one',
      task: 'proj.add',
      args: [1, 'é'],
      kwargs: { a: null },
      embed: { chain },
      queue: 'images',
      priority: 3,
      eta,
      timeLimits: { hardMs: 1_500 },
      groupId: 'group',
      headers: { compression: 'application/x-gzip', stamps: { by: 'me' } },
    });
    const message = read(text);
    expect(message).toMatchObject({
      id: 'one',
      args: [1, 'é'],
      kwargs: { a: null },
      eta,
      rootId: 'one',
      groupId: 'group',
    });
    expect(message).toMatchObject({ embed: { chain }, timeLimits: { hardMs: 1_500, softMs: undefined }, retries: 0 });
    expect(message.envelope).toMatchObject({ routingKey: 'images', priority: 3, headers: { stamps: { by: 'me' } } });
    expect(message.envelope.headers).toMatchObject({ argsrepr: "[1, 'é']".replace('[', '(').replace(']', ')') });
  });

  it.each(['gzip', 'zlib'])('is read when it is packed by %s', (how) => {
    const body = Buffer.from('[[1], {}, {}]');
    const packed = (how === 'gzip' ? gzipSync : deflateSync)(body).toString('base64');
    expect(read(envelope({ body: packed }, { headers: { compression: 'application/x-gzip' } })).args).toEqual([1]);
  });

  it.each<[string, string, string]>([
    ['no JSON', '{', 'it is no JSON'],
    ['no object', '[1]', 'it is no JSON object'],
    ['no message', '{}', 'it is no message of kombu'],
    ['too long', JSON.stringify('x'.repeat(17 * 1_024 * 1_024)), 'it has more than 16777216 bytes'],
    [
      'pickle',
      envelope({ 'content-type': 'application/x-python-serialize' }),
      'its content type is "application/x-python-serialize": only',
    ],
    ['yaml', envelope({ 'content-type': 'application/x-yaml' }), 'its content type is "application/x-yaml": only'],
    ['no type', envelope({ 'content-type': null }), 'its content type is null: only application/json is read'],
    ['an encoding', envelope({ 'content-encoding': 'utf-16' }), 'its content encoding is "utf-16": only utf-8'],
    ['a body encoding', envelope({}, { properties: { body_encoding: 'hex' } }), 'its body encoding is "hex"'],
    [
      'a compression',
      envelope({}, { headers: { compression: 'application/x-bz2' } }),
      'it is compressed as "application/x-bz2"',
    ],
    [
      'a compression of ours',
      envelope({}, { headers: { compression: 'constructor' } }),
      'it is compressed as "constructor"',
    ],
    [
      'what is not packed',
      envelope({}, { headers: { compression: 'application/x-gzip' } }),
      "its body can't be unpacked",
    ],
    ['a body', envelope({ body: 3 }), 'its body is no text'],
    ['a body of what', envelope({ body: Buffer.from('{').toString('base64') }), 'its body is no JSON'],
    ['protocol 1', envelope({}, { headers: { task: undefined } }), 'it has no header "task": only protocol 2 is read'],
    ['no id', envelope({}, { headers: { id: 7 } }), 'its header "id" is no id'],
    ['a long id', envelope({}, { headers: { id: 'x'.repeat(513) } }), 'its header "id" is no id'],
    [
      'a body of other shape',
      envelope({ body: Buffer.from('{}').toString('base64') }),
      'its body is not [args, kwargs, embed]',
    ],
    ['an eta', envelope({}, { headers: { eta: 'soon' } }), 'its header "eta" is no time'],
    ['retries', envelope({}, { headers: { retries: -1 } }), 'its header "retries" is no number'],
  ])('is refused: %s', (_, text, reason) => {
    let thrown: unknown;
    try {
      read(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(BadMessage);
    expect((thrown as BadMessage).message).toContain(reason);
  });

  it('says with the refusal what is known of it', () => {
    expect(() => read(envelope({ 'content-type': 'application/x-yaml' }))).toThrow(
      expect.objectContaining({
        deliveryTag: 'tag',
        headers: expect.objectContaining({ id: 'one', task: 'proj.add' }),
      }),
    );
  });

  it('does not unpack more than it may', () => {
    const bomb = gzipSync(Buffer.alloc(20 * 1_024 * 1_024)).toString('base64');
    expect(() =>
      readBody(readEnvelope(envelope({ body: bomb }, { headers: { compression: 'application/x-gzip' } }))),
    ).toThrow('has more than 16777216 bytes');
  });
});

describe('values', () => {
  it('of newer kombus are what they stand for', () => {
    const as = (type: string, value: unknown) => ({ __type__: type, __value__: value });
    expect(
      fromPython([
        as('datetime', '2030-01-02T03:04:05.678901+00:00'),
        as('date', '2030-01-02'),
        as('decimal', '1.50'),
        as('uuid', { hex: '0123456789abcdef0123456789abcdef', version: 4 }),
        as('bytes', 'é'),
        as('base64', '/w=='),
        as('os.system', 'rm'),
        { __type__: 'datetime', __value__: '2030', more: 1 },
      ]),
    ).toEqual([
      new Date('2030-01-02T03:04:05.678Z'),
      '2030-01-02',
      '1.50',
      '01234567-89ab-cdef-0123-456789abcdef',
      Buffer.from('é'),
      Buffer.from([255]),
      as('os.system', 'rm'),
      { __type__: 'datetime', __value__: '2030', more: 1 },
    ]);
    const polluted = fromPython(JSON.parse('{"__proto__": {"isAdmin": true}}')) as object;
    expect('isAdmin' in polluted).toBe(false);
  });

  it.each([
    [[Number.NaN], "it[0] can't be sent as JSON: it is NaN"],
    [{ a: 1n }, "it.a can't be sent as JSON: it is a bigint"],
    [new Map(), "it can't be sent as JSON: it is an instance of Map"],
    [[new Date(Number.NaN)], "it[0] can't be sent as JSON: it is an invalid Date"],
    [() => {}, "it can't be sent as JSON: it is a function"],
  ])('that JSON has not are refused: %o', (value, message) => {
    expect(() => toJson(value, 'it')).toThrow(message);
  });

  it('in a circle are refused', () => {
    const circle: unknown[] = [];
    circle.push({ circle });
    expect(() => toJson(circle, 'it')).toThrow('in a circle');
  });

  it('are shown as Python does', () => {
    expect(pythonText([null, true, "it's", { a: [1.5] }])).toBe(`[None, True, 'it\\'s', {'a': [1.5]}]`);
    expect(pythonArgs([1])).toBe('(1,)');
    expect(pythonArgs([])).toBe('()');
    expect(pythonText('x'.repeat(5_000), 10)).toHaveLength(10);
  });

  it.each([
    ['2030-01-02T03:04:05', '2030-01-02T03:04:05.000Z'],
    ['2030-01-02 03:04:05.5+0200', '2030-01-02T01:04:05.500Z'],
    ['2030-13-02T03:04:05', undefined],
    ['tomorrow', undefined],
  ])('that are times: %s', (text, time) => {
    expect(parseTime(text)?.toISOString()).toBe(time);
  });
});

describe('names', () => {
  const names = new Names({ database: 2, keyPrefix: 'shop:', resultKeyPrefix: 'shop_' });

  it('are those of kombu and Celery', () => {
    const plain = new Names({ database: 0 });
    expect([0, 2, 3, 5, 8, 9, 255].map((priority) => plain.list('q', priority))).toEqual([
      'q',
      'q',
      'q\x06\x163',
      'q\x06\x163',
      'q\x06\x166',
      'q\x06\x169',
      'q\x06\x169',
    ]);
    expect(plain.lists(['a', 'b'])).toHaveLength(2 * prioritySteps.length);
    expect(plain.lists(['a', 'b']).slice(0, 3)).toEqual(['a', 'b', 'a\x06\x163']);
    expect(plain.result('one')).toBe('celery-task-meta-one');
    expect(plain.chord('g')).toBe('celery-taskset-meta-g.j');
    expect([names.pidbox, names.event('task-started'), names.unacked, names.unackedIndex, names.unackedMutex]).toEqual([
      'shop:/2.celery.pidbox',
      'shop:/2.celeryev/task.started',
      'shop:unacked',
      'shop:unacked_index',
      'shop:unacked_mutex',
    ]);
    expect([names.result('one'), names.list('q'), names.binding('x')]).toEqual([
      'shop_celery-task-meta-one',
      'shop:q',
      'shop:_kombu.binding.x',
    ]);
  });

  it('of queues are found by their binding', () => {
    const members = [bindingMember('a', 'one'), bindingMember('b', 'two', '*'), 'nonsense'];
    expect(boundQueues(members, 'b')).toEqual(['two']);
    expect(boundQueues(members, 'c')).toEqual([]);
  });
});

describe('a result', () => {
  it('is written as it is read', () => {
    const record = {
      taskId: 'one',
      state: 'SUCCESS',
      result: { sum: 5 },
      traceback: undefined,
      dateDone: new Date('2030-01-01T00:00:00.000Z'),
      parentId: 'parent',
      groupId: undefined,
      children: [],
    };
    expect(readResult(writeResult(record))).toEqual(record);
    expect(['SUCCESS', 'FAILURE', 'REVOKED', 'STARTED', 'PROGRESS'].map(isEndState)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(timeText(record.dateDone)).toBe('2030-01-01T00:00:00.000+00:00');
    expect(() => writeResult({ ...record, result: 'x'.repeat(17 * 1_024 * 1_024) })).toThrow(RangeError);
    expect(() => readResult('{"status": "SUCCESS"}')).toThrow('it is no result of Celery');
    expect(() => readResult('{"status": NaN}')).toThrow('it is no JSON');
  });

  it('has an error that Python raises as an exception', async () => {
    const stored = writeException(Object.assign(new RangeError('too far'), { name: 'RangeError' }));
    expect(stored).toEqual({ exc_type: 'RangeError', exc_message: ['too far'], exc_module: 'taskwarden.errors' });
    expect(writeException(new TaskwardenError('TASK_TIMEOUT', 'too long'))).toMatchObject({
      exc_type: 'TaskwardenError',
      exc_message: ['TASK_TIMEOUT: too long'],
    });
    expect(writeException('text')).toMatchObject({ exc_type: 'Error', exc_message: ['text'] });
    expect(tracebackOf(new Error('oh'))).toMatch(/^Error: oh\n {4}at /);
    const hostile = new Proxy(new Error('x'), {
      get: () => {
        throw new Error('no');
      },
    });
    expect(writeException(hostile)).toMatchObject({ exc_type: 'Error' });
    await using project = await celeryProject('redis://nowhere');
    const program = `
error = app.backend.exception_to_python(json.loads(${JSON.stringify(JSON.stringify(stored))}))
print(type(error).__name__, error, isinstance(error, Exception))`;
    expect(await python(project, program)).toBe('RangeError too far True\n');
  });

  it('gives back to Python the exception that came from there', () => {
    const record = { taskId: 'one', state: 'FAILURE', traceback: 'Traceback', dateDone: undefined };
    const exception = { exc_type: 'ShopError', exc_message: ['sold out', 3], exc_module: 'proj' };
    const remote = readException({ ...record, result: exception });
    expect(remote).toEqual({
      type: 'ShopError',
      module: 'proj',
      message: 'sold out, 3',
      args: ['sold out', 3],
      traceback: 'Traceback',
    });
    const error = new TaskwardenError('TASK_FAILED_REMOTELY', 'failed', { remote });
    expect(writeException(error)).toEqual(exception);
    expect(tracebackOf(error)).toBe('Traceback');
    for (const odd of [null, 'text', { exc_type: 3 }, []]) {
      expect(readException({ ...record, result: odd })).toMatchObject({ type: 'Exception', module: 'builtins' });
    }
  });
});

describe('a command', () => {
  it('is written as it is read', () => {
    const reply = newReply();
    const text = writeCommand({ method: 'revoke', arguments: { task_id: 'one' }, destination: ['a@b'], reply }, 5);
    expect(readCommand(text)).toEqual({
      method: 'revoke',
      arguments: { task_id: 'one' },
      destination: ['a@b'],
      pattern: undefined,
      matcher: undefined,
      reply,
      clock: 5,
      expires: undefined,
    });
    expect(() => readCommand(envelope())).toThrow('it names no method');
    const answer = writeReply('a@b', { ok: 'pong' }, reply, 6);
    expect(readReply(answer, reply.ticket)).toEqual({ 'a@b': { ok: 'pong' } });
    expect(readReply(answer, 'another')).toBeUndefined();
    expect(replyQueue(reply)).toBe(`${reply.routingKey}.reply.celery.pidbox`);
  });
});
