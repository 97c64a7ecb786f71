// What a thread runs where the package is not built, as in its own tests: it imports the sources, through tsx where
// Node does not run TypeScript.

exports.start = async (start) => {
  if (!process.features.typescript) (await import('tsx/esm/api')).register();
  const thread = await import('./thread.ts');
  thread.start(start);
};
