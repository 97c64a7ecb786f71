/** Standard output, line by line: it waits for a slow reader, and ends quietly when nobody reads any more, as `| head` does. */
import { Promise } from '../../platform/globals.ts';

export class Printer {
  readonly #stream: NodeJS.WritableStream;
  #problem: NodeJS.ErrnoException | undefined;

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
    stream.on('error', (error) => {
      this.#problem ??= error;
    });
  }

  /** @throws what writing fails with. */
  async print(text: string): Promise<void> {
    if (this.#problem !== undefined) throw this.#problem;
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
  }
}

/** Whether it means that nobody reads any more. */
export function isBrokenPipe(error: unknown): boolean {
  return (error as { readonly code?: unknown } | undefined)?.code === 'EPIPE';
}
