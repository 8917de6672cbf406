/** The lines of an alias file: `name: target, target`; lines that begin with white space go on; # begins a comment. */

export interface AliasLine {
  readonly key: string;
  readonly targets: readonly string[];
  /** From 1. */
  readonly line: number;
}

/** @throws Error naming the line that has no colon, or goes on before anything began */
export function parseAliasLines(text: string, file: string): AliasLine[] {
  const entries: { key: string; rest: string[]; line: number }[] = [];
  text.split(/\r?\n/).forEach((raw, index) => {
    if (/^\s*(?:#|$)/.test(raw)) return;
    const line = index + 1;
    const open = entries.at(-1);
    if (/^\s/.test(raw)) {
      if (!open)
        throw new Error(`${file}:${line}: begins with white space, but there is no entry to go on with`);
      open.rest.push(raw.trim());
      return;
    }
    const entry = /^((?:"(?:[^"\\]|\\.)*"|[^":])+):(.*)$/s.exec(raw);
    if (!entry) throw new Error(`${file}:${line}: expected "name: target, target"`);
    entries.push({ key: entry[1]!.trim(), rest: [entry[2]!.trim()], line });
  });
  return entries.map(({ key, rest, line }) => ({ key, targets: splitTargets(rest.join(' ')), line }));
}

/** Parts at commas outside quotes, white space around them removed, empty ones left out. */
export function splitTargets(text: string): string[] {
  const targets: string[] = [];
  let target = '';
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index]!;
    if (quoted && character === '\\') {
      target += character + (text[index + 1] ?? '');
      index += 1;
      continue;
    }
    if (character === '"') quoted = !quoted;
    if (character === ',' && !quoted) {
      targets.push(target);
      target = '';
    } else target += character;
  }
  return [...targets, target].map((each) => each.trim()).filter((each) => each !== '');
}
