/** The edits that the milter door is tried with behind each MTA. */

/** Fields of our own test message as they came out, without what the MTA adds. */
export function fieldsOf(text: string): string {
  const [header = ''] = text.replaceAll('\r\n', '\n').split('\n\n');
  const fields = header.split(/\n(?![ \t])/);
  return fields.filter((field) => /^(X-(?!Original|Do:)[^:]*|Subject|From|To):/.test(field)).join('\n');
}

export function bodyOf(text: string): string {
  const unix = text.replaceAll('\r\n', '\n');
  return unix.slice(unix.indexOf('\n\n') + 2);
}

const plain = 'From: <ann@example.org>\nTo: <alice@example.test>';
const untouched = `${plain}\nX-Twice: 1\nSubject:  test\nX-Twice: 2`;

/** What plugins/as-told.ts is asked for, and what comes out of the MTA. */
export interface EditedCase {
  readonly told: string;
  /** fieldsOf the message. */
  readonly want: string;
  /** Where a Received field that the MTA's milters do not see is counted in: by Sendmail, and behind the queue. */
  readonly belowReceived?: string;
  readonly body?: RegExp;
  readonly sender?: string;
  readonly to?: string;
}

export const edited: readonly EditedCase[] = [
  { told: '', want: untouched, body: /^hello\nworld\n+$/ },
  { told: 'add', want: `${untouched}\nX-Added: at the end` },
  { told: 'top', want: `X-Top: first\nX-Top: second\n${untouched}` },
  {
    told: 'middle',
    want: untouched.replace('To:', 'X-Middle: after the first field\nTo:'),
    belowReceived: `X-Middle: after the first field\n${untouched}`,
  },
  {
    told: 'change',
    want: `${plain}\nX-Twice: 1\nSubject: =?utf-8?B?Z3LDvG4=?=\nX-Twice: changed`,
  },
  { told: 'delete', want: `${plain}\nSubject:  test\nX-Twice: the one that is left` },
  { told: 'all', want: `${plain}\nSubject:  test` },
  { told: 'fold', want: `${untouched}\nX-Folded: one\n two\n\tthree` },
  { told: 'body', want: untouched, body: /^new body\n(long line ){80}\n\.\nend\n$/ },
  { told: 'large', want: untouched, body: /^(x{70}\n){3000}$/ },
  { told: 'empty', want: untouched, body: /^\n*$/ },
  { told: 'sender', want: untouched, sender: 'changed@example.org' },
  { told: 'parameters', want: untouched, sender: 'changed@example.org' },
  { told: 'recipients', want: untouched, to: 'carol' },
  { told: 'slow', want: untouched },
];

export function messageFor(told: string): string {
  const head = `${plain}\nX-Twice: 1\nSubject:  test\nX-Twice: 2\n`;
  return `${head}${told ? `X-Do: ${told}\n` : ''}\nhello\nworld\n`;
}
