// What a thread or child runs where the package is not built, as in its own tests: it imports the sources, through tsx
// where Node does not run TypeScript.

async function load(file) {
  if (!process.features.typescript) (await import('tsx/esm/api')).register();
  return import(file);
}

exports.start = async (start) => (await load('./thread.ts')).start(start); // called in a thread
if (require.main === module) void load('./process.ts'); // a child
