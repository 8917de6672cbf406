/** THREAD and UID THREAD. RFC 5256 section 3; REFS of draft-ietf-morg-inthread. */
import type { ThreadAlgorithm, ThreadNode } from '../../../mailbox/search-query.ts';
import { command } from '../command.ts';
import { readSearchKeys } from '../parse/search-key.ts';
import { bad } from '../refusal.ts';
import { queryOf } from '../search.ts';

const algorithms: Readonly<Record<string, ThreadAlgorithm>> = {
  ORDEREDSUBJECT: 'orderedSubject',
  REFERENCES: 'references',
  REFS: 'refs',
};

export const thread = command({
  name: 'THREAD',
  in: 'selected',
  hasUidForm: true,
  keepsNumbers: true,
  parse(input) {
    input.space();
    const name = input.word();
    const algorithm = algorithms[name];
    if (!algorithm) throw bad(`there is no way to thread named ${name.slice(0, 40)}`);
    input.space();
    const charset = input.astring();
    input.space();
    return { algorithm, key: readSearchKeys(input, charset) };
  },
  async run(session, { algorithm, key }, call) {
    const { selected } = session;
    const query = queryOf(session, selected, key);
    const threads = await selected.folder.thread(selected.view, query, algorithm);
    const number = (uid: number) => (call.uid ? uid : selected.view.seqOf(uid));
    const text = threads.map((node) => `(${threadText(node, number)})`).join('');
    session.untagged(`THREAD${text === '' ? '' : ` ${text}`}`);
  },
});

/** `3 6 (4 23)(44 7)`: one answer follows, several branch. Loops over the straight pieces, which may be thousands long. */
function threadText(root: ThreadNode, number: (uid: number) => number): string {
  const words: string[] = [];
  let node: ThreadNode = root;
  for (;;) {
    if (node.uid !== undefined) words.push(String(number(node.uid)));
    const [only, ...others] = node.children;
    if (!only) return words.join(' ');
    if (others.length === 0 && node.uid !== undefined) {
      node = only;
      continue;
    }
    // A message that is not there is an empty place, its answers branches.
    const branches = node.children.map((child) => `(${threadText(child, number)})`).join('');
    return words.length === 0 ? branches : `${words.join(' ')} ${branches}`;
  }
}
