/** One line of JSON on standard output for each thing that happens. */

export function log(event: string, facts: object = {}): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...facts })}\n`);
}
