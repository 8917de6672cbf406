/** `:list`, valid_ext_list, redirect :list. RFC 6134. */
import { Fault } from '../fault.ts';
import { matchTypeGroup } from '../match.ts';
import type { Run } from '../run.ts';
import type { Extension, MatchType, TestSpec } from '../spec.ts';
import { shown } from '../text.ts';

/** Undefined for a list that nobody knows. */
function contains(run: Run, list: string, value: string): boolean | undefined {
  return run.ask(`list ${list}\n${value}`, () => run.environment.listContains?.(list, value));
}

const listMatch: MatchType = {
  tag: { name: 'list', group: matchTypeGroup },
  compile(use, keys) {
    const captures = use.captures && use.compiler.uses('variables');
    return (run, values) => {
      const lists = keys.values(run);
      for (const text of values.texts) {
        for (const list of lists) {
          const found = contains(run, list, text);
          // RFC 6134 section 2.2: an unknown list matches nothing, and the author should hear of it.
          if (found === undefined) run.note(`list "${shown(list)}" is not known`);
          if (!found) continue;
          if (captures) run.setMatchValues(() => [text]);
          return true;
        }
      }
      return false;
    };
  },
};

const validExtList: TestSpec = {
  name: 'valid_ext_list',
  kind: 'test',
  positional: [{ name: 'ext-list-names', type: 'string-list' }],
  compile(use) {
    const lists = use.texts(0);
    return (run) => lists.values(run).every((list) => contains(run, list, '') !== undefined);
  },
};

/** Addresses of a list; each is checked as a redirect's is. RFC 6134 section 2.5. */
export function listMembers(run: Run, list: string): readonly string[] {
  const members = run.ask(`members ${list}`, () => run.environment.listMembers?.(list));
  if (!members) throw new Fault(`redirect: list "${shown(list)}" is not known`);
  return members;
}

export const extlists: Extension = {
  name: 'extlists',
  specs: [validExtList],
  matchTypes: [listMatch],
  tags: { redirect: [{ name: 'list' }] },
};
