/** CANCELUPDATE: searches that need not be kept up to date any more. RFC 5267 section 4.3.5. */
import { command } from '../command.ts';
import { bad } from '../refusal.ts';

export const cancelupdate = command({
  name: 'CANCELUPDATE',
  in: 'selected',
  parse(input) {
    const tags: string[] = [];
    while (input.skip(' ')) tags.push(input.string());
    if (tags.length === 0) throw bad('a tag was expected');
    return tags;
  },
  run(session, tags) {
    const { contexts } = session.updates;
    if (!tags.every((tag) => contexts.has(tag))) throw bad('no search has this tag');
    for (const tag of tags) contexts.remove(tag);
  },
});
