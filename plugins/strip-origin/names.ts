/** Which header fields tell where a message was written and with what. */

/** Fields of webmail, mail programs, PHP's mail() and hosting panels, as seen in the wild. None is in an RFC. */
export const defaultHeaders: readonly string[] = [
  'User-Agent',
  'X-AntiAbuse',
  'X-Authenticated-Id',
  'X-Authenticated-Sender',
  'X-Authenticated-User',
  'X-Client-IP',
  'X-Forwarded-For',
  'X-Get-Message-Sender-Via',
  'X-Mailer',
  'X-MimeOLE',
  'X-Newsreader',
  'X-Originating-*',
  'X-PHP-Originating-Script',
  'X-PHP-Script',
  'X-Real-IP',
  'X-Remote-IP',
  'X-Sender-IP',
  'X-Source',
  'X-Source-Args',
  'X-Source-Dir',
  'X-Source-IP',
];

/** Without these a message is none, or cannot be read, or its signature breaks. RFC 5322 section 3.6, RFC 2045. */
const kept = new Set(['from', 'date', 'sender', 'to', 'cc', 'subject', 'message-id', 'dkim-signature']);

export type NameTest = (name: string) => boolean;

/**
 * @param patterns field names; a `*` at the end stands for anything
 * @throws Error naming a field that must not go, or that has an option of its own
 */
export function nameTest(patterns: readonly string[]): NameTest {
  const exact = new Set<string>();
  const prefixes: string[] = [];
  for (const pattern of patterns.map((each) => each.toLowerCase())) {
    const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : undefined;
    const problem = problemOf(pattern, prefix);
    if (problem) throw new Error(`headers: "${pattern}" ${problem}`);
    if (prefix === undefined) exact.add(pattern);
    else prefixes.push(prefix);
  }
  return (name) => {
    const lower = name.toLowerCase();
    return exact.has(lower) || prefixes.some((prefix) => lower.startsWith(prefix));
  };
}

function problemOf(pattern: string, prefix: string | undefined): string | undefined {
  const covers = (name: string) => (prefix === undefined ? pattern === name : name.startsWith(prefix));
  if (covers('received')) return 'covers Received; the option "received" is for that';
  const needed = [...kept, 'mime-version', 'content-type', 'content-transfer-encoding'].find(covers);
  return needed && `covers ${needed}, without which the message breaks`;
}
