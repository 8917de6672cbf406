/** The milter wire: golden packets of libmilter and Postfix, both directions, bounds, and noise with a printed seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agree,
  decodeCommand,
  decodeReply,
  encodeCommand,
  encodePacket,
  encodeReply,
  formatReplyLines,
  type MilterCommand,
  type MilterReply,
  MilterWireError,
  PacketReader,
  parseReplyLines,
  replacementChunks,
  type Terms,
} from '../../../../core/net/milter/index.ts';
import { randomSource } from '../../../kit/random.ts';

const terms = (version: number, actions: string[], steps: string[], more = {}): Terms =>
  ({ version, actions: new Set(actions), steps: new Set(steps), ...more }) as Terms;

/** Octets as they stand on the wire, letter first, in latin1. */
const commands: [name: string, octets: string, want: MilterCommand][] = [
  [
    'negotiate',
    'O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff',
    {
      type: 'negotiate',
      terms: terms(
        6,
        [
          ...['addHeaders', 'changeBody', 'addRecipient', 'deleteRecipient', 'changeHeaders', 'quarantine'],
          ...['changeSender', 'addRecipientWithArguments', 'setMacros'],
        ],
        [
          ...['noConnect', 'noHelo', 'noMail', 'noRcpt', 'noBody', 'noHeaders', 'noEndOfHeaders'],
          ...['noReplyHeader', 'noUnknown', 'noData', 'skip', 'rejectedRecipients', 'noReplyConnect'],
          ...['noReplyHelo', 'noReplyMail', 'noReplyRcpt', 'noReplyData', 'noReplyUnknown'],
          ...['noReplyEndOfHeaders', 'noReplyBody', 'leadingSpace'],
        ],
      ),
    },
  ],
  [
    'macros',
    'DMi\x00ABC\0{auth_authen}\0ann\0',
    {
      type: 'macros',
      for: 'M',
      macros: new Map([
        ['i', 'ABC'],
        ['{auth_authen}', 'ann'],
      ]),
    },
  ],
  ['macros, none', 'DC', { type: 'macros', for: 'C', macros: new Map() }],
  [
    'connect, IPv4',
    'Cmail.example.org\x004\x30\x39192.0.2.1\0',
    { type: 'connect', hostname: 'mail.example.org', family: 'inet', port: 12_345, address: '192.0.2.1' },
  ],
  [
    'connect, unknown',
    'Clocalhost\0U',
    { type: 'connect', hostname: 'localhost', family: 'unknown', port: 0, address: '' },
  ],
  ['helo', 'Hclient\0', { type: 'helo', name: 'client' }],
  [
    'mail',
    'M<ann@example.org>\0SIZE=100\0BODY=8BITMIME\0',
    { type: 'mail', path: '<ann@example.org>', arguments: ['SIZE=100', 'BODY=8BITMIME'] },
  ],
  ['rcpt', 'R<bob@example.test>\0', { type: 'rcpt', path: '<bob@example.test>', arguments: [] }],
  ['data', 'T', { type: 'data' }],
  ['unknown', 'UNOPE\0', { type: 'unknown', line: 'NOPE' }],
  [
    'header, value with its space and a fold',
    'LSubject\0 one\n two\0',
    { type: 'header', name: Buffer.from('Subject'), value: Buffer.from(' one\n two') },
  ],
  ['end of headers', 'N', { type: 'endOfHeaders' }],
  ['body', 'Ba\r\n', { type: 'body', chunk: Buffer.from('a\r\n') }],
  ['end of message', 'E', { type: 'endOfMessage', chunk: Buffer.alloc(0) }],
  ['abort', 'A', { type: 'abort' }],
  ['quit', 'Q', { type: 'quit' }],
  ['quit, new connection', 'K', { type: 'quitNewConnection' }],
];
for (const [name, octets, want] of commands) {
  test(`command: ${name}`, () => {
    assert.deepEqual(decodeCommand(packetOf(octets)), want);
    assert.equal(encodeCommand(want).subarray(4).toString('latin1'), octets);
  });
}

test('an IPv6 address loses the prefix that Sendmail puts in front', () => {
  const command = decodeCommand(packetOf('Ca.example\x006\0\x19IPv6:2001:db8::1\0'));
  assert.ok(command.type === 'connect');
  assert.equal(command.address, '2001:db8::1');
});

const replies: [name: string, octets: string, want: MilterReply][] = [
  ['continue', 'c', { type: 'continue' }],
  ['accept', 'a', { type: 'accept' }],
  ['discard', 'd', { type: 'discard' }],
  ['reject', 'r', { type: 'reject' }],
  ['tempfail', 't', { type: 'tempfail' }],
  ['skip', 's', { type: 'skip' }],
  ['progress', 'p', { type: 'progress' }],
  ['shutdown', '4', { type: 'shutdown' }],
  [
    'reply code, percent signs doubled',
    'y550-5.7.1 100%% no\r\n550 5.7.1 no\0',
    { type: 'replyCode', lines: '550-5.7.1 100% no\r\n550 5.7.1 no' },
  ],
  ['add header', 'hX-A\0 b\0', { type: 'addHeader', name: 'X-A', value: Buffer.from(' b') }],
  [
    'insert header',
    'i\0\0\0\x02X-A\0b\0',
    { type: 'insertHeader', index: 2, name: 'X-A', value: Buffer.from('b') },
  ],
  [
    'delete header',
    'm\0\0\0\x01X-A\0\0',
    { type: 'changeHeader', nth: 1, name: 'X-A', value: Buffer.alloc(0) },
  ],
  ['change sender', 'e<a@b>\0', { type: 'changeSender', path: '<a@b>' }],
  [
    'change sender with arguments',
    'e<a@b>\0ENVID=x\0',
    { type: 'changeSender', path: '<a@b>', arguments: 'ENVID=x' },
  ],
  ['add recipient', '+<a@b>\0', { type: 'addRecipient', path: '<a@b>' }],
  [
    'add recipient with arguments',
    '2<a@b>\0NOTIFY=NEVER\0',
    { type: 'addRecipientWithArguments', path: '<a@b>', arguments: 'NOTIFY=NEVER' },
  ],
  ['delete recipient', '-<a@b>\0', { type: 'deleteRecipient', path: '<a@b>' }],
  ['replace body', 'bnew\r\n', { type: 'replaceBody', chunk: Buffer.from('new\r\n') }],
  ['quarantine', 'qwhy\0', { type: 'quarantine', reason: 'why' }],
  [
    'negotiate with macros',
    'O\0\0\0\x06\0\0\x01\0\0\0\0\0\0\0\0\x02i {auth_authen}\0',
    { type: 'negotiate', terms: terms(6, ['setMacros'], [], { macros: { mail: ['i', '{auth_authen}'] } }) },
  ],
];
for (const [name, octets, want] of replies) {
  test(`reply: ${name}`, () => {
    assert.deepEqual(decodeReply(packetOf(octets)), want);
    assert.equal(encodeReply(want).subarray(4).toString('latin1'), octets);
  });
}

test('an offer of an older version gets that version and nothing it does not know', () => {
  const offered = terms(2, ['addHeaders', 'changeBody'], ['noBody']);
  const wish = terms(6, ['addHeaders', 'quarantine'], ['noBody', 'skip', 'leadingSpace']);
  assert.deepEqual(
    agree(offered, { ...wish, macros: { mail: ['i'] } }),
    terms(2, ['addHeaders'], ['noBody']),
  );
  assert.equal(agree(terms(9, [], []), wish).version, 6);
});

test('packets come whole however the octets are cut', () => {
  const whole = Buffer.concat([
    encodePacket('H', 'one\0'),
    encodePacket('B', Buffer.alloc(200_000, 'x')),
    encodePacket('Q'),
  ]);
  for (const size of [1, 3, 7, 4096, 65_536, whole.length]) {
    const reader = new PacketReader();
    const seen: string[] = [];
    for (let at = 0; at < whole.length; at += size) {
      for (const { letter, data } of reader.push(whole.subarray(at, at + size)))
        seen.push(`${letter}${data.length}`);
    }
    assert.deepEqual(seen, ['H4', 'B200000', 'Q0'], `in pieces of ${size}`);
    assert.ok(reader.empty);
  }
});

const malformed: [name: string, octets: Buffer][] = [
  ['a length of 4 GiB', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x4f])],
  ['a length of nothing', Buffer.from([0, 0, 0, 0])],
  ['an unknown letter', encodePacket('z')],
  ['a negotiation that is cut short', encodePacket('O', 'abc')],
  ['version 1', encodePacket('O', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))],
  ['a client without a family', encodePacket('C', 'host\0')],
  ['an address that is cut short', encodePacket('C', 'host\x004\0')],
  ['MAIL without an address', encodePacket('M')],
  ['a field without a value', encodePacket('L', 'Subject\0')],
  ['macros for no command', encodePacket('D')],
  ['a flood of macros', encodePacket('D', `M${'a\0b\0'.repeat(10_000)}`)],
  ['a flood of arguments', encodePacket('M', 'a\0'.repeat(10_000))],
];
for (const [name, octets] of malformed) {
  test(`refused: ${name}`, () => {
    assert.throws(() => new PacketReader().push(octets).map(decodeCommand), MilterWireError);
  });
}

test('what would be read as something else is not written', () => {
  const value = Buffer.from('b\0c');
  assert.throws(() => encodeReply({ type: 'addHeader', name: 'X', value }), MilterWireError);
  assert.throws(() => encodeReply({ type: 'quarantine', reason: 'a\0b' }), MilterWireError);
  const chunk = Buffer.alloc(65_536);
  assert.throws(() => encodeReply({ type: 'replaceBody', chunk }), MilterWireError);
});

test('a body goes in chunks that any MTA takes, an empty one in one', () => {
  const sizes = (body: Buffer) =>
    [...replacementChunks(body)].map((each) => (each.type === 'replaceBody' ? each.chunk.length : -1));
  assert.deepEqual(sizes(Buffer.alloc(0)), [0]);
  assert.deepEqual(sizes(Buffer.alloc(65_535)), [65_535]);
  assert.deepEqual(sizes(Buffer.alloc(65_536)), [65_535, 1]);
});

test('SMTP replies to lines and back', () => {
  const reply = { code: 550, enhanced: '5.7.1', text: 'one\ntwo' };
  assert.equal(formatReplyLines(reply), '550-5.7.1 one\r\n550 5.7.1 two');
  assert.deepEqual(parseReplyLines('550-5.7.1 one\r\n550 5.7.1 two'), reply);
  assert.deepEqual(parseReplyLines('451 later'), { code: 451, text: 'later' });
  assert.deepEqual(parseReplyLines('550 4.7.1 a class that is not its own'), {
    code: 550,
    text: 'a class that is not its own',
  });
  for (const wrong of ['250 2.0.0 ok', 'no', ''])
    assert.throws(() => parseReplyLines(wrong), MilterWireError);
});

test('noise is refused or understood, and what was understood can be said again', () => {
  const random = randomSource('milter wire');
  const letters = [...'ABCDEHKLMNOQRTU+-2abcdefhimpqrsty4z'];
  for (let round = 0; round < 20_000; round++) {
    const octets = encodePacket(random.pick(letters), noise(random));
    for (const [decode, encode] of [
      [decodeCommand, encodeCommand],
      [decodeReply, encodeReply],
    ] as const) {
      try {
        const value = decode(new PacketReader().push(octets)[0]!);
        const again = decode(new PacketReader().push(encode(value as never))[0]!);
        assert.deepEqual(again, value);
      } catch (error) {
        assert.ok(error instanceof MilterWireError, `${octets.toString('latin1')}: ${String(error)}`);
      }
    }
  }
});

function noise(random: ReturnType<typeof randomSource>): Buffer {
  const pieces = ['\0', 'a@b', '<>', '4', '6', 'U', 'X', ' v', '\n ', '550 5.7.1 no', '\xff', '%'];
  const text = Array.from({ length: random.below(8) }, () => random.pick(pieces)).join('');
  return random.below(3) === 0 ? random.bytes(random.below(20)) : Buffer.from(text, 'latin1');
}

function packetOf(octets: string) {
  const bytes = Buffer.from(octets, 'latin1');
  return { letter: String.fromCharCode(bytes[0]!), data: bytes.subarray(1) };
}
