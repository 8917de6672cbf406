/** The `when` of a rule: one subject with one test, or several joined by `all`, `any` and `not`. */
import { ruleLimits } from '../../core/base/limits/rules.ts';
import { splitAddress } from '../../core/mail/address.ts';
import { parseAddressList } from '../../core/mail/address-list.ts';
import { decodeWords } from '../../core/mail/encoded-word.ts';
import type { RuleFacts } from './facts.ts';
import {
  type JsonObject,
  readBoolean,
  readChoice,
  readHeaderName,
  readList,
  readObject,
  readWord,
} from './read.ts';
import { RuleError } from './rule-error.ts';
import { bounded, compileTest, testKeys } from './test.ts';

export type Condition = (facts: RuleFacts) => boolean;

/** What a condition looks at beyond header and envelope: only then must the message be parsed. */
export interface Needs {
  content: boolean;
}

const joiners = ['all', 'any', 'not'] as const;
const subjects = ['header', 'envelope', 'authenticated', 'trusted'] as const;
const contentSubjects = ['text', 'attachment'] as const;
export const headerParts = ['value', 'address', 'domain', 'name'] as const;
export const envelopeParts = ['sender', 'recipient', 'helo', 'ip', 'user'] as const;
export const textParts = ['any', 'plain', 'html'] as const;
export const attachmentParts = ['name', 'type'] as const;
const otherKeys = ['part', 'caseSensitive'] as const;

/**
 * @param withContent whether `text` and `attachment` may be asked about
 * @param needs is told what the condition looks at
 * @throws RuleError
 */
export function compileCondition(
  source: unknown,
  where: string,
  withContent: boolean,
  needs: Needs,
  depth = 0,
): Condition {
  if (depth > ruleLimits.conditionDepthMax) throw new RuleError(where, 'conditions are nested too deeply');
  const kinds = [...joiners, ...subjects, ...(withContent ? contentSubjects : [])];
  const condition = readObject(source, [...kinds, ...otherKeys, ...testKeys], where);
  const kind = readChoice(condition, kinds, where);
  const place = `${where}: ${kind}`;
  const inner = (part: unknown, at: string) => compileCondition(part, at, withContent, needs, depth + 1);
  switch (kind) {
    case 'all':
    case 'any': {
      onlyKeys(condition, [kind], where);
      const parts = readList(condition[kind], place).map((part, index) => inner(part, `${place}[${index}]`));
      return kind === 'all'
        ? (facts) => parts.every((part) => part(facts))
        : (facts) => parts.some((part) => part(facts));
    }
    case 'not': {
      onlyKeys(condition, [kind], where);
      const negated = inner(condition.not, place);
      return (facts) => !negated(facts);
    }
    case 'authenticated':
    case 'trusted': {
      onlyKeys(condition, [kind], where);
      const wanted = readBoolean(condition[kind], place);
      return kind === 'trusted'
        ? (facts) => facts.trusted === wanted
        : (facts) => (facts.user !== '') === wanted;
    }
    case 'header':
      return compileHeader(condition, where);
    case 'envelope':
      onlyKeys(condition, ['envelope', 'caseSensitive', ...testKeys], where);
      return compileEnvelope(condition, where);
    default:
      onlyKeys(condition, [kind, 'caseSensitive', ...testKeys], where);
      needs.content = true;
      return kind === 'text' ? compileText(condition, where) : compileAttachment(condition, where);
  }
}

function onlyKeys(condition: JsonObject, keys: readonly string[], where: string): void {
  for (const key of Object.keys(condition)) {
    if (!keys.includes(key)) throw new RuleError(where, `"${key}" does not go together with "${keys[0]}"`);
  }
}

function compileHeader(condition: JsonObject, where: string): Condition {
  const names = (Array.isArray(condition.header) ? condition.header : [condition.header]).map((name) =>
    readHeaderName(name, `${where}: header`),
  );
  const part = readWord(condition.part ?? 'value', headerParts, `${where}: part`);
  const test = compileTest(condition, where);
  return (facts) =>
    test(bounded(names.flatMap((name) => facts.fields.all(name))).flatMap((value) => partOf(value, part)));
}

function partOf(value: string, part: (typeof headerParts)[number]): readonly string[] {
  if (part === 'value') return [decodeWords(value)];
  const addresses = parseAddressList(value);
  if (part === 'name') return addresses.map(({ name }) => name).filter((name) => name !== '');
  if (part === 'address') return addresses.map(({ address }) => address);
  return addresses.map(({ address }) => splitAddress(address).domain);
}

function compileEnvelope(condition: JsonObject, where: string): Condition {
  const part = readWord(condition.envelope, envelopeParts, `${where}: envelope`);
  const test = compileTest(condition, where);
  const values: Record<typeof part, (facts: RuleFacts) => readonly string[]> = {
    // The null reverse-path is a value: bounces equal ''.
    sender: (facts) => [facts.sender],
    recipient: (facts) => facts.recipients,
    helo: (facts) => given(facts.helo),
    ip: (facts) => given(facts.ip),
    user: (facts) => given(facts.user),
  };
  return (facts) => test(bounded(values[part](facts)));
}

function given(value: string): readonly string[] {
  return value === '' ? [] : [value];
}

function compileText(condition: JsonObject, where: string): Condition {
  const part = readWord(condition.text, textParts, `${where}: text`);
  const test = compileTest(condition, where);
  return ({ content }) => {
    if (!content) throw new Error('a rule asks about the text of a message that was not parsed');
    const texts = part === 'any' ? [content.plain, content.html] : [content[part]];
    return test(texts.filter((text) => text !== ''));
  };
}

function compileAttachment(condition: JsonObject, where: string): Condition {
  const part = readWord(condition.attachment, attachmentParts, `${where}: attachment`);
  const test = compileTest(condition, where);
  return ({ content }) => {
    if (!content) throw new Error('a rule asks about the attachments of a message that was not parsed');
    return test(
      bounded(content.attachments.map((attachment) => attachment[part])).filter((text) => text !== ''),
    );
  };
}
