/** The messages that `mailfilter demo` sends: real mail of the usual and the unusual kinds. RFC 5322, RFC 2045. */
import { randomBytes, randomUUID } from 'node:crypto';

export interface DemoMessage {
  /** For the table. */
  readonly title: string;
  readonly sender: string;
  readonly recipient: string;
  /** `smtp`: as another host would send it; `submission`: as the sender's own program, with password and TLS. */
  readonly through: 'smtp' | 'submission';
  /** ESMTP parameters of MAIL. */
  readonly parameters: readonly string[];
  /** With angle brackets; the trace is found by it. */
  readonly messageId: string;
  /** CRLF line ends. */
  readonly content: Buffer;
}

/** Spam test string that every spam filter knows; the demo's rules refuse it. */
const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X';

/** What the demo's config does with these messages. */
export const demoRules = {
  edit: {
    name: 'demo-tag',
    when: { header: 'Subject', contains: 'please tag' },
    then: [{ add: 'X-Demo-Tag', value: 'tagged for {recipient}' }, { delete: 'X-Remove-Me' }],
  },
  refuse: {
    name: 'demo-gtube',
    when: { text: 'any', contains: gtube },
    then: [{ reject: 'this message holds the test string for spam filters', code: 550, status: '5.7.1' }],
  },
} as const;

/** As base64 it stays below the 32 MiB up to which plugins may look into a message by default. */
const hugeBytes = 20 * 1024 * 1024;
const manyParts = 200;

export function demoMessages(alice: string, bob: string): DemoMessage[] {
  const stranger = 'visitor@example.org';
  const from = (sender: string, recipient: string) => ({ sender, recipient, parameters: [] as string[] });
  const outside = { ...from(stranger, alice), through: 'smtp' as const };
  return [
    message({ ...outside, title: 'ordinary' }, ['Subject: An ordinary message'], textPart('Good morning!\n')),
    message(
      { ...outside, title: '8-bit', parameters: ['BODY=8BITMIME'] },
      ['Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?='],
      [
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: 8bit',
        '',
        'Grüße — こんにちは — مرحبا',
        '',
      ],
    ),
    message({ ...outside, title: `${manyParts} parts` }, ['Subject: Many parts'], parts(manyParts)),
    message({ ...outside, title: 'huge attachment' }, ['Subject: A huge attachment'], hugeAttachment()),
    message({ ...outside, title: 'one to refuse' }, ['Subject: Buy now'], textPart(`${gtube}\n`)),
    message(
      { ...outside, title: 'one to edit' },
      ['Subject: please tag this', 'X-Remove-Me: yes'],
      textPart('It gets a field more and one less.\n'),
    ),
    message(
      { ...from(alice, bob), through: 'submission', title: 'by a user' },
      ['Subject: From alice to bob', 'User-Agent: DemoMail 1.0', 'X-Originating-IP: [192.0.2.77]'],
      textPart('Where I sit is nobody else’s business.\n'),
    ),
  ];
}

function message(
  facts: Omit<DemoMessage, 'messageId' | 'content'>,
  fields: readonly string[],
  body: readonly string[],
): DemoMessage {
  const messageId = `<${randomUUID()}@demo.example.org>`;
  const header = [
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `From: <${facts.sender}>`,
    `To: <${facts.recipient}>`,
    `Message-ID: ${messageId}`,
    'MIME-Version: 1.0',
    ...fields,
  ];
  const content = Buffer.from([...header, ...body].join('\r\n'));
  return { ...facts, messageId, content };
}

/** Lines from the rest of the header on; the last is empty, so that the message ends with a line end. */
function textPart(text: string): string[] {
  return [
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    ...text.split('\n'),
  ];
}

function parts(count: number): string[] {
  const boundary = `=_${randomUUID()}`;
  const each = Array.from({ length: count }, (_, index) => [
    `--${boundary}`,
    ...textPart(`Part ${index + 1}.`),
  ]);
  return [`Content-Type: multipart/mixed; boundary="${boundary}"`, '', ...each.flat(), `--${boundary}--`, ''];
}

function hugeAttachment(): string[] {
  const boundary = `=_${randomUUID()}`;
  // 57 octets make the 76 characters that a line of base64 may have. RFC 2045 section 6.8.
  const encoded =
    randomBytes(hugeBytes)
      .toString('base64')
      .match(/.{1,76}/g) ?? [];
  return [
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    ...textPart('See the attachment.'),
    `--${boundary}`,
    'Content-Type: application/octet-stream; name="huge.bin"',
    'Content-Disposition: attachment; filename="huge.bin"',
    'Content-Transfer-Encoding: base64',
    '',
    ...encoded,
    `--${boundary}--`,
    '',
  ];
}
