/** A message that a worker has taken, and has not ended yet. */

export interface Delivery {
  /** Its delivery tag; empty for what kombu would not know as a message. */
  readonly tag: string;
  /** As it was in the list. */
  readonly text: string;
  /** The list that it was taken from. */
  readonly list: string;
  /** Of the list. */
  readonly queue: string;
  /** Its place in `unacked_index`, which says that this worker has it. Renewed from time to time. */
  score: number;
  /** The score that it has, or will have as soon as the broker has got a renewal. */
  nextScore: number;
  /** The broker has forgotten it. */
  isAcknowledged: boolean;
}

let lastScore = 0;

/** Seconds since the epoch, as kombu counts them, with a fraction that other workers don't have. Each is higher. */
export function newScore(now: number = Date.now()): number {
  const score = (now + Math.random()) / 1_000;
  lastScore = score > lastScore ? score : lastScore + 1e-6;
  return lastScore;
}

/** The message as kombu gives it back. */
export function redelivered(text: string): string {
  const message: unknown = JSON.parse(text);
  return JSON.stringify(markRedelivered(message as Readonly<Record<string, unknown>>));
}

export function markRedelivered(message: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { headers, properties } = message as { readonly headers?: object; readonly properties?: object };
  const info = (properties as { readonly delivery_info?: object } | undefined)?.delivery_info;
  return {
    ...message,
    headers: { ...headers, redelivered: true },
    properties: { ...properties, delivery_info: { ...info, redelivered: true } },
  };
}
