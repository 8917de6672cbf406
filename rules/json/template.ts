/** Values with placeholders, such as `{sender}` or `{result:dmarc.policy}`: what they put in can never begin a new field. */
import type { Json } from '../../core/base/json.ts';
import { ruleLimits } from '../../core/base/limits/rules.ts';
import { RuleError } from './rule-error.ts';

/** What placeholders may name. */
export interface TemplateFacts {
  readonly id: string;
  /** Reverse-path, '' for the null one. */
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly helo: string;
  readonly ip: string;
  /** The authenticated user, '' for none. */
  readonly user: string;
  /** Value of the first field of that name, unfolded; '' for none. */
  header(name: string): string;
  readonly results: Readonly<Record<string, Json>>;
}

export type Template = (facts: TemplateFacts) => string;

const simple: Readonly<Record<string, (facts: TemplateFacts) => string>> = {
  id: (facts) => facts.id,
  sender: (facts) => facts.sender,
  // Naming one of several recipients, or all, would show to each who the hidden others are.
  recipient: (facts) => (facts.recipients.length === 1 ? facts.recipients[0]! : ''),
  helo: (facts) => facts.helo,
  ip: (facts) => facts.ip,
  user: (facts) => facts.user,
};

/**
 * Compiles `text {placeholder} text`; `{{` and `}}` stand for the braces themselves.
 * @param where names the place in messages: `rule 3: add`
 * @throws RuleError for a placeholder that does not exist, a lone brace or a control character
 */
export function compileTemplate(source: string, where: string): Template {
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(source)) throw new RuleError(where, 'a value holds a control character');
  const parts: (string | Template)[] = [];
  let literalFrom = 0;
  for (const match of source.matchAll(/\{\{|\}\}|\{[^{}]*\}|[{}]/g)) {
    parts.push(source.slice(literalFrom, match.index));
    parts.push(compilePart(match[0], where));
    literalFrom = match.index + match[0].length;
  }
  parts.push(source.slice(literalFrom));
  return (facts) => parts.map((part) => (typeof part === 'string' ? part : oneLine(part(facts)))).join('');
}

function compilePart(part: string, where: string): string | Template {
  if (part === '{{' || part === '}}') return part[0]!;
  const name = part.slice(1, -1);
  const known = Object.hasOwn(simple, name) && simple[name];
  if (known) return known;
  const result = /^result:([a-z][a-z0-9-]*)((?:\.[A-Za-z0-9_@-]+)*)$/.exec(name);
  if (result) {
    const path = [result[1]!, ...result[2]!.split('.').slice(1)];
    return (facts) => textAt(facts.results, path);
  }
  const header = /^header:([!-9;-~]+)$/.exec(name);
  if (header) return (facts) => facts.header(header[1]!);
  const names = [...Object.keys(simple), 'header:Name', 'result:plugin.path'].map((each) => `{${each}}`);
  throw new RuleError(where, `${part} means nothing; known are ${names.join(' ')}, and {{ }} for braces`);
}

/** A leaf of a plugin's result as text; '' where there is none. */
function textAt(results: Readonly<Record<string, Json>>, path: readonly string[]): string {
  let value: Json | undefined = results;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return '';
    value = (value as Readonly<Record<string, Json>>)[key];
  }
  return typeof value === 'object' || value === undefined ? '' : String(value);
}

/** RFC 5322 section 2.2: a field ends at a line end, so none may come from outside. */
function oneLine(text: string): string {
  return text
    .toWellFormed()
    .slice(0, ruleLimits.substitutionCharsMax)
    .replace(/[\0-\x1f\x7f\u2028\u2029]+/g, ' ');
}
