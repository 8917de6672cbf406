/** RFC 2047 encoded words: how text beyond US-ASCII stands in header fields that must be US-ASCII. */

const encodedWord = /=\?([^?\s]{1,60})\?([bq])\?([^?]*)\?=/gi;
/** Octets of text in one encoded word: `=?utf-8?B?` + 60 characters + `?=` stays under 75. RFC 2047 section 2. */
const wordOctetsMax = 45;

/** Text with its encoded words decoded. A word in an unknown charset stays as it is; never fails, linear time. */
export function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  let out = '';
  let copied = 0;
  let pending: { charset: string; octets: Buffer[] } | undefined;
  const flush = () => {
    if (pending) out += decodeCharset(Buffer.concat(pending.octets), pending.charset);
    pending = undefined;
  };
  for (const match of text.matchAll(encodedWord)) {
    const charset = match[1]!.split('*')[0]!.toLowerCase(); // RFC 2231 section 5: a language may follow
    if (!knowsCharset(charset)) continue;
    const between = text.slice(copied, match.index);
    // RFC 2047 section 6.2: white space between encoded words is not shown.
    const adjacent = pending !== undefined && /^[ \t\r\n]*$/.test(between);
    // Characters that were split between two words come together again.
    if (!adjacent || pending!.charset !== charset) flush();
    if (!adjacent) out += between;
    pending ??= { charset, octets: [] };
    pending.octets.push(
      match[2]!.toLowerCase() === 'b' ? Buffer.from(match[3]!, 'base64') : decodeQ(match[3]!),
    );
    copied = match.index + match[0].length;
  }
  flush();
  return out + text.slice(copied);
}

/**
 * Encoded words for a text, parted by CRLF and a space, none longer than 75 characters and the first shorter by
 * `firstLineUsed`. UTF-8; Q where most of the text is US-ASCII, else B.
 */
export function encodeWords(text: string, firstLineUsed = 0): string {
  const octets = Buffer.from(text.toWellFormed(), 'utf8');
  let beyondAscii = 0;
  for (const octet of octets) if (octet > 126 || octet < 32) beyondAscii++;
  const encode = beyondAscii * 3 > octets.length ? encodeB : encodeQ;
  const words: string[] = [];
  let word = '';
  let room = Math.max(75 - firstLineUsed, 30);
  for (const character of text.toWellFormed()) {
    const longer = word + character;
    if (word !== '' && (encode(longer).length > room || Buffer.byteLength(longer) > wordOctetsMax)) {
      words.push(encode(word));
      room = 75;
      word = character;
    } else {
      word = longer;
    }
  }
  if (word !== '') words.push(encode(word));
  return words.join('\r\n ');
}

/** Text of octets in a named charset; octets that are wrong in it become U+FFFD. The charset must be known. */
function decodeCharset(octets: Uint8Array, charset: string): string {
  return decoderFor(charset)!.decode(octets);
}

/** True for the names and aliases of the WHATWG encodings, which hold nearly all that mail uses. */
function knowsCharset(charset: string): boolean {
  return decoderFor(charset) !== undefined;
}

/** Charset names come from the message: the cache is bounded by the encodings that exist, unknown names are not kept. */
const decoders = new Map<string, InstanceType<typeof TextDecoder>>();

function decoderFor(charset: string): InstanceType<typeof TextDecoder> | undefined {
  const known = decoders.get(charset);
  if (known) return known;
  try {
    const decoder = new TextDecoder(charset);
    decoders.set(charset, decoder);
    return decoder;
  } catch {
    return undefined; // RangeError: no such encoding
  }
}

function encodeB(text: string): string {
  return `=?utf-8?B?${Buffer.from(text, 'utf8').toString('base64')}?=`;
}

/** Only what is safe in a phrase as well stays as it is. RFC 2047 section 5 (3). */
function encodeQ(text: string): string {
  let out = '';
  for (const octet of Buffer.from(text, 'utf8')) {
    const character = String.fromCharCode(octet);
    if (octet === 32) out += '_';
    else if (/[A-Za-z0-9!*+/-]/.test(character)) out += character;
    else out += `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return `=?utf-8?Q?${out}?=`;
}

function decodeQ(text: string): Buffer {
  const plain = text
    .replace(/_/g, ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // Octets that should have been encoded came as characters: those beyond Latin-1 can only have been UTF-8.
  return /[^\0-\xff]/.test(plain) ? Buffer.from(plain, 'utf8') : Buffer.from(plain, 'latin1');
}
