/** A page of Markdown as HTML. */
import { marked } from 'marked';

export function work(source) {
  return marked.parse(source);
}
