/** IMAP flags: setflag, addflag, removeflag, hasflag, `:flags`. RFC 5232. */
import type { Run } from '../run.ts';
import type { ActionSpec, Extension, TagSpec, TestSpec } from '../spec.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';
import { type Variable, variable } from './variables.ts';

const flagsTag: TagSpec = { name: 'flags', parameter: 'string-list' };

/** RFC 3501 section 9, flag: an atom, or a backslash and one of the system flags that a client may set. */
const flagPattern = /^(?:\\(?:answered|flagged|deleted|seen|draft)|[^\\\x00-\x20\x7f(){%*"\]\x80-\uffff]+)$/i;

/** Single flags out of strings that may hold several: known ones, each once. RFC 5232 section 2. */
export function normaliseFlags(texts: readonly string[]): readonly string[] {
  const flags = new Map<string, string>();
  for (const text of texts) {
    for (const flag of text.split(/[ \t\r\n]+/)) {
      if (flagPattern.test(flag) && !flags.has(flag.toLowerCase())) flags.set(flag.toLowerCase(), flag);
    }
  }
  return [...flags.values()];
}

function change(
  name: string,
  combine: (old: readonly string[], given: readonly string[]) => readonly string[],
): ActionSpec {
  return {
    name,
    kind: 'command',
    positional: [
      { name: 'variable name', type: 'string' },
      { name: 'list of flags', type: 'string-list' },
    ],
    optional: 1,
    compile(use) {
      const given = use.texts(1);
      const target = flagVariable(use, 0);
      return (run) => {
        const flags = normaliseFlags(given.values(run));
        if (target) target.set!(run, combine(normaliseFlags([target.get(run)]), flags).join(' '));
        else run.flags = combine(run.flags, flags);
        run.trace?.input('did', `${name} ${flags.join(' ')}`);
      };
    },
  };
}

/** The variable that stands in place of the internal one. RFC 5232 section 3. */
function flagVariable(use: Use, index: number): Variable | undefined {
  const argument = use.positional[index];
  if (!argument) return undefined;
  if (!use.compiler.uses('variables')) {
    use.error(
      `if a second argument is specified for the ${use.title}, the first must be a variable, and "variables" must be required`,
    );
    return undefined;
  }
  return argument.type === 'string' ? variable(use.compiler, argument.at, argument.text) : undefined;
}

const lower = (flag: string) => flag.toLowerCase();

export const setflag = change('setflag', (_old, given) => given);
export const addflag = change('addflag', (old, given) => normaliseFlags([...old, ...given]));
export const removeflag = change('removeflag', (old, given) => {
  const gone = new Set(given.map(lower));
  return old.filter((flag) => !gone.has(lower(flag)));
});

const hasflag: TestSpec = {
  name: 'hasflag',
  kind: 'test',
  matches: true,
  positional: [
    { name: 'variable list', type: 'string-list' },
    { name: 'list of flags', type: 'string-list' },
  ],
  optional: 1,
  compile(use) {
    const sources = flagSources(use);
    // Keys that hold several flags are several keys. RFC 5232 section 4.
    const keys = use.texts(1);
    const match = use.match(1, {
      values: (run) => splitKeys(keys.values(run)),
      ...(keys.constant && { constant: splitKeys(keys.constant) }),
    });
    return (run) => match(run, new Values(sources(run)));
  },
};

/** With wildcards or numbers in them, keys are no flags: only white space parts them. */
function splitKeys(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => (text.includes(' ') ? text.split(/[ \t\r\n]+/).filter(Boolean) : [text]));
}

function flagSources(use: Use): (run: Run) => readonly string[] {
  const argument = use.positional[0];
  if (!argument) return (run) => run.flags;
  const items = argument.type === 'list' ? argument.items : argument.type === 'string' ? [argument] : [];
  if (!use.compiler.uses('variables')) {
    use.error(`if a second argument is specified for the ${use.title}, "variables" must be required`);
    return () => [];
  }
  const variables = items.map((item) => variable(use.compiler, item.at, item.text));
  return (run) => variables.flatMap((each) => normaliseFlags([each?.get(run) ?? '']));
}

export const imap4flags: Extension = {
  name: 'imap4flags',
  specs: [setflag, addflag, removeflag, hasflag],
  tags: { keep: [flagsTag], fileinto: [flagsTag] },
};
export const flagsTags: readonly TagSpec[] = [flagsTag];
