// Starts a thread from the TypeScript sources, when the package itself is run from them: `npx tsx src/...`.
if (!process.features.typescript) (await import('tsx/esm/api')).register();

export const { default: start } = await import('./thread.ts');
export default start;
