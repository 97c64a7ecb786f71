/** The process of a program: answers each message with what `run` of the module gives, or with what it failed with. */
const [module, ...args] = process.argv.slice(2);

for (const event of ['disconnect', 'SIGINT']) process.once(event, () => process.exit());
process.on('message', async () => {
  let reply;
  try {
    const { run } = await import(module);
    reply = { value: await run(...args) };
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  process.send(reply);
});
