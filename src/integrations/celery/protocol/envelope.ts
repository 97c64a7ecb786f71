/**
 * The envelope in which kombu puts every message: what was written, in which format, and where it goes. Nothing but JSON
 * is decoded: pickle and YAML can run code, and are refused by their content type.
 */
import { randomUUID } from 'node:crypto';
import { brotliDecompressSync, unzipSync } from 'node:zlib';

/** In bytes: larger messages are neither written nor read, packed or unpacked. */
export const maxMessageBytes: number = 16 * 1_024 * 1_024;

/** A message that can't be read, or is refused. What is known of it is with it. */
export class BadMessage extends Error {
  readonly deliveryTag: string | undefined;
  readonly headers: Headers;
  readonly properties: Properties;

  constructor(reason: string, { deliveryTag, headers = {}, properties = {} }: Partial<Envelope> = {}) {
    super(reason);
    this.name = 'BadMessage';
    this.deliveryTag = deliveryTag;
    this.headers = headers;
    this.properties = properties;
  }
}

/** Not checked any further. */
export type Headers = Readonly<Record<string, unknown>>;
export type Properties = Readonly<Record<string, unknown>>;

export interface Envelope {
  readonly deliveryTag: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** From 0, which is first, to 9. */
  readonly priority: number;
  /** It was given back once by a consumer that did not end it. */
  readonly isRedelivered: boolean;
  readonly headers: Headers;
  readonly properties: Properties;
  /** The whole of it as it was parsed: what kombu keeps of a message that is not acknowledged. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** @throws BadMessage for what is no envelope of kombu. */
export function readEnvelope(text: string): Envelope {
  if (Buffer.byteLength(text) > maxMessageBytes) throw new BadMessage(`it has more than ${maxMessageBytes} bytes`);
  const raw = parseObject(text);
  const properties = objectOf(raw['properties']);
  const headers = objectOf(raw['headers']);
  const info = objectOf(properties?.['delivery_info']);
  const deliveryTag = properties?.['delivery_tag'];
  if (properties === undefined || headers === undefined || info === undefined || !isText(deliveryTag)) {
    throw new BadMessage('it is no message of kombu: headers, properties, delivery_info or delivery_tag is missing');
  }
  const { exchange, routing_key: routingKey } = info;
  return {
    deliveryTag,
    exchange: isText(exchange) ? exchange : '',
    routingKey: isText(routingKey) ? routingKey : '',
    priority: priorityOf(properties['priority']),
    isRedelivered: info['redelivered'] === true,
    headers,
    properties,
    raw,
  };
}

/** Kombu's own reading: what is no number is 0, and it is at most 9. */
function priorityOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.max(0, Math.min(9, Math.trunc(value))) : 0;
}

/** @throws BadMessage unless the body is JSON. */
export function readBody(envelope: Envelope): unknown {
  const { raw, headers, properties } = envelope;
  const refuse = (reason: string) => new BadMessage(reason, envelope);
  const type = raw['content-type'];
  if (type !== 'application/json') throw refuse(`its content type is ${shown(type)}: only application/json is read`);
  const encoding = raw['content-encoding'];
  if (!isText(encoding) || !/^(utf-?8|us-ascii|binary)$/i.test(encoding)) {
    throw refuse(`its content encoding is ${shown(encoding)}: only utf-8 is read`);
  }
  const body = raw['body'];
  if (!isText(body)) throw refuse('its body is no text');
  const bodyEncoding = properties['body_encoding'];
  const { compression } = headers;
  if (bodyEncoding !== 'base64' && bodyEncoding !== undefined && bodyEncoding !== null) {
    throw refuse(`its body encoding is ${shown(bodyEncoding)}: only base64 is read`);
  }
  let bytes: Buffer = Buffer.from(body, bodyEncoding === 'base64' ? 'base64' : 'utf8');
  if (compression !== undefined && compression !== null) {
    const unpack = isText(compression) && Object.hasOwn(unpackers, compression) ? unpackers[compression] : undefined;
    if (unpack === undefined) throw refuse(`it is compressed as ${shown(compression)}: only gzip and brotli are read`);
    try {
      bytes = unpack(bytes, { maxOutputLength: maxMessageBytes });
    } catch {
      throw refuse(`its body can't be unpacked, or has more than ${maxMessageBytes} bytes`);
    }
  }
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw refuse('its body is no JSON');
  }
}

/** Kombu says gzip of what zlib wrote: `unzip` reads both. */
const unpackers: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  'application/x-gzip': unzipSync,
  'application/x-brotli': brotliDecompressSync,
};

export interface OutgoingEnvelope {
  /** As JSON. */
  readonly body: string;
  readonly headers: Headers;
  readonly exchange: string;
  readonly routingKey: string;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** Of fanout exchanges. Default: false. */
  readonly isTransient?: boolean;
}

/** @throws RangeError if it is too large. */
export function writeEnvelope(message: OutgoingEnvelope): string {
  const { body, headers, exchange, routingKey, priority = 0, correlationId, replyTo, isTransient = false } = message;
  const text = JSON.stringify({
    body: Buffer.from(body).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers,
    properties: {
      ...(correlationId !== undefined && { correlation_id: correlationId }),
      ...(replyTo !== undefined && { reply_to: replyTo }),
      delivery_mode: isTransient ? 1 : 2,
      delivery_info: { exchange, routing_key: routingKey },
      priority,
      body_encoding: 'base64',
      delivery_tag: randomUUID(),
    },
  });
  if (Buffer.byteLength(text) > maxMessageBytes) {
    throw new RangeError(`a message of Celery must not have more than ${maxMessageBytes} bytes`);
  }
  return text;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadMessage('it is no JSON');
  }
  const object = objectOf(value);
  if (object === undefined) throw new BadMessage('it is no JSON object');
  return object;
}

/** A JSON object; undefined for anything else. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** In short, for a log: what came may be long. */
function shown(value: unknown): string {
  return JSON.stringify(isText(value) ? value.slice(0, 60) : value)?.slice(0, 62) ?? 'missing';
}
