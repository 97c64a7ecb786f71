/** Numbers and texts as people read them. */

/** `0.4 s`, `42.0 s`, `3 min 5 s`, `2 h 10 min`. */
export function showDuration(durationMs: number): string {
  if (durationMs < 59_950) return `${(durationMs / 1_000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1_000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `0.3/s`, `4821/s`. */
export function showRate(perSecond: number): string {
  return `${Number.isFinite(perSecond) ? perSecond.toFixed(perSecond < 10 ? 1 : 0) : 0}/s`;
}

/** At most so many characters of a text. */
export function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
