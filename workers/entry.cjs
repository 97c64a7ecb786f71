// The file that Piscina loads in a thread. It is CommonJS, because Piscina tries `require` first, and a thread that is
// ended while it requires an ES module takes the process along (seen on Node 20.20: v8::Module::IsGraphAsync).

module.exports = async function enter(start) {
  if (start.module.endsWith('.ts') && !process.features.typescript) (await import('tsx/esm/api')).register();
  const thread = await import(start.module);
  thread.start(start);
};
