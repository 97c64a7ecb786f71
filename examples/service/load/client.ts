/** Talks with the service over connections that are kept. */
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: what a route answers is looked at by who asks.
  readonly body: any;
}

export class Client {
  readonly #url: string;
  readonly #agent: Agent;

  constructor(url: string, connections: number) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  get(path: string): Promise<Answer> {
    return this.#ask('GET', path);
  }

  post(path: string, body: Uint8Array = new Uint8Array()): Promise<Answer> {
    return this.#ask('POST', path, body);
  }

  async #ask(method: string, path: string, body?: Uint8Array): Promise<Answer> {
    const headers: OutgoingHttpHeaders = body === undefined ? {} : { 'Content-Length': body.length };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(new URL(path, this.#url), { method, headers, agent: this.#agent }, resolve).on('error', reject).end(body);
    });
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: JSON.parse(await text(answer)) };
  }

  close(): void {
    this.#agent.destroy();
  }
}
