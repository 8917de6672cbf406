/** What a message says, as tokens: words of any script and pairs of them, the header's words, hosts of links, the make of the HTML. */
import { bayesLimits } from '../../core/base/limits/filters.ts';
import type { Headers, Message, ParsedMessage } from '../../core/mail/message.ts';

/** Fields with a mark of their own: programs name the same thing differently. */
const fields: Readonly<Record<string, string>> = {
  subject: 'S',
  from: 'F',
  'reply-to': 'R',
  'x-mailer': 'M',
  'user-agent': 'M',
  'x-mimeole': 'M',
  'content-type': 'C',
  'content-transfer-encoding': 'C',
};
/**
 * Fields that tell of lists and of the way a message came, what filters on that way said, and what mail readers keep; Date
 * and Message-ID are looked at apart.
 */
const ignored =
  /^(?:received|delivered-to|return-path|list-.*|mailing-list|precedence|errors-to|sender|envelope-.*|delivery-date|date|message-id|lines|content-length|status|x-status|x-keywords|x-uid|x-imap.*|x-mailman.*|x-beenthere|x-loop|x-original.*|x-spam.*|x-virus.*|x-rspamd.*|(?:arc-)?authentication-results|received-spf|(?:x-google-)?dkim-signature|arc-.*|domainkey-signature)$/;

/**
 * Each token once, the header's first, at most `bayesLimits.tokensMax`.
 * @returns undefined for a message that is too large or too broken to be read
 */
export async function tokensOf(message: Message): Promise<string[] | undefined> {
  const parsed = await message.parsed();
  if (parsed.tooLarge) return undefined;
  const found = new Set<string>();
  const add = (tokens: Iterable<string>) => {
    for (const token of tokens) {
      if (found.size >= bayesLimits.tokensMax) return;
      found.add(token);
    }
  };
  add(fieldTokens(message.headers));
  add(makeTokens(message.headers));
  add(attachmentTokens(parsed));
  const html = typeof parsed.html === 'string' ? parsed.html.slice(0, bayesLimits.textCharacters) : '';
  const text = (parsed.text ?? '').slice(0, bayesLimits.textCharacters);
  add(linkTokens(`${html}\n${text}`));
  add(markupTokens(html));
  add(wordsAndPairs(text));
  return [...found];
}

const word = /[\p{L}\p{M}\p{N}$€£¥%!'’_.@\uFFFD-]+/gu;
/** What octets became that are none of the character set which the message names, or names none. */
const replacement = '\uFFFD';
/** Scripts that put no space between words: their words are pairs of characters. */
const unspaced = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;

function* words(text: string): Generator<string> {
  for (const bare of wordsIn(text)) yield* wordTokens(bare);
}

/** Two words that follow each other say more than each: `free money`. */
function* wordsAndPairs(text: string): Generator<string> {
  let before = '';
  for (const bare of wordsIn(text)) {
    yield* wordTokens(bare);
    const lower = bare.toLowerCase();
    const spaced = !unspaced.test(lower) && !isUnreadable(lower);
    const pairable = lower !== '' && lower.length <= bayesLimits.wordCharacters && spaced;
    if (pairable && before !== '') yield `${before} ${lower}`;
    before = pairable ? lower : '';
  }
}

function* wordsIn(text: string): Generator<string> {
  for (const [found] of text.normalize('NFKC').matchAll(word)) yield trimmed(found);
}

function* wordTokens(bare: string): Generator<string> {
  const lower = bare.toLowerCase();
  const characters = lower.length;
  if (isUnreadable(lower)) yield 'unreadable';
  else if (unspaced.test(lower)) yield* pairs(lower);
  else if (characters > bayesLimits.wordCharacters) yield `long:${lower[0]}:${Math.floor(characters / 10)}`;
  else if (characters > 2) {
    yield lower;
    if (bare !== lower && characters <= bayesLimits.casedWordCharacters) yield bare;
  }
}

/** One octet may be an accent in a word that can still be read; where there are more, the letters between them are no words. */
function isUnreadable(lower: string): boolean {
  return lower.indexOf(replacement) !== lower.lastIndexOf(replacement);
}

/** Without the full stop of a sentence and quotes; a price and a shout keep their signs. */
function trimmed(found: string): string {
  let start = 0;
  let end = found.length;
  while (start < end && ".'’_-@".includes(found[start]!)) start++;
  while (end > start && ".'’_-@".includes(found[end - 1]!)) end--;
  return found.slice(start, end);
}

function* pairs(text: string): Generator<string> {
  const points = [...text];
  for (let at = 0; at + 1 < points.length; at++) yield points[at]! + points[at + 1]!;
}

function* marked(mark: string, tokens: Iterable<string>): Generator<string> {
  for (const token of tokens) yield `${mark}:${token}`;
}

/** The names of fields, and their words. */
function* fieldTokens(headers: Headers): Generator<string> {
  const seen = new Set<string>();
  let others = 0;
  for (const { name } of headers) {
    const lower = name.toLowerCase().slice(0, bayesLimits.fieldNameCharacters);
    if (seen.has(lower) || ignored.test(lower)) continue;
    seen.add(lower);
    const known = fields[lower];
    if (known === undefined && ++others > bayesLimits.otherFields) continue;
    if (known === undefined) yield `N:${lower}`;
    const { fieldCharacters, otherFieldCharacters } = bayesLimits;
    const value = headers.decoded(name) ?? '';
    const length = known === undefined ? otherFieldCharacters : fieldCharacters;
    yield* marked(known ?? lower, words(value.slice(0, length)));
  }
}

/** What the writing program gives away: its zone, and how its Message-IDs look. */
function* makeTokens(headers: Headers): Generator<string> {
  const zone = /[+-]\d{4}\b/.exec(headers.get('Date') ?? '')?.[0];
  yield `D:${zone ?? 'none'}`;
  const [, left = '', host = ''] =
    /<?([^<>@\s]{0,200})@([^<>@\s]{1,200})/.exec(headers.get('Message-ID') ?? '') ?? [];
  const shape = left
    .replace(/\d+/g, '9')
    .replace(/[a-z]+/g, 'a')
    .replace(/[A-Z]+/g, 'A');
  yield `I:${shape.slice(0, bayesLimits.wordCharacters)}`;
  yield `I:@${host.toLowerCase().slice(-bayesLimits.wordCharacters)}`;
}

/** The host of a link and each domain above it, and whether it is an address of numbers. */
function* linkTokens(text: string): Generator<string> {
  for (const [, host] of text.matchAll(/https?:\/\/([^\s"'<>/?#\\]{1,253})/gi)) {
    const labels = host!
      .toLowerCase()
      .replace(/^.*@|:\d+$/g, '')
      .split('.');
    if (labels.every((label) => /^\d+$/.test(label))) yield 'U:numeric';
    for (let at = 0; at < Math.min(labels.length - 1, 4); at++) yield `U:${labels.slice(at).join('.')}`;
  }
}

function* markupTokens(html: string): Generator<string> {
  for (const [, tag] of html.matchAll(/<([a-z][a-z0-9]{0,15}|!--)/gi)) yield `H:${tag!.toLowerCase()}`;
  for (const [, name, value] of html.matchAll(
    /\b(color|bgcolor|size|face|width|height|method|target) {0,3}= {0,3}["']?([^\s"'<>]{1,20})/gi,
  )) {
    yield `H:${name!.toLowerCase()}=${value!.toLowerCase()}`;
  }
}

function* attachmentTokens({ attachments = [] }: ParsedMessage): Generator<string> {
  for (const { contentType, filename } of attachments.slice(0, bayesLimits.attachments)) {
    yield `A:${contentType.toLowerCase().slice(0, bayesLimits.wordCharacters)}`;
    const ending = /\.([a-z0-9]{1,8})$/i.exec(filename ?? '')?.[1];
    if (ending !== undefined) yield `A:.${ending.toLowerCase()}`;
  }
}
