/** `mailfilter filter`: the message comes out edited or not at all, and the exit code says which. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCommand } from '../kit/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-filter-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const config = join(folder, 'mailfilter.json');
/** Does what the subject says, and notes what it was told. */
writeFileSync(
  join(folder, 'obedient.ts'),
  `import { addHeader, definePlugin, discard, quarantine, reject, tempfail } from 'mailfilter/plugin';
   const verdicts = {
     reject: () => reject(550, '5.7.1', 'as you wish'),
     tempfail: () => tempfail(451, '4.7.1', 'as you wish'),
     discard: () => discard('as you wish'),
     quarantine: () => quarantine('as you wish'),
   };
   export default definePlugin({
     name: 'obedient',
     hooks: {
       connect: ({ connection }) => ({ result: { ip: connection.remoteIp } }),
       rcptTo: ({ recipient }) => (recipient.address.startsWith('no') ? reject(550, '5.1.1', 'nobody') : undefined),
       message({ message, envelope, session, results, connection }) {
         const verdict = verdicts[message.headers.get('Subject')]?.();
         if (verdict) return verdict;
         if (message.headers.get('Subject') === 'throw') throw new Error('on purpose');
         const seen = [connection.door, results.obedient?.ip ?? '-', session.helo || '-', session.user ?? '-',
           envelope.sender || '<>', envelope.recipients.map(({ address }) => address).join(',') || '-'];
         return { edits: [addHeader('X-Seen', seen.join(' '))], score: 2.5 };
       },
     },
   });`,
);
writeFileSync(
  config,
  JSON.stringify({
    hostname: 'mx.example.org',
    dataDirectory: 'data',
    pipelines: { inbound: ['./obedient.ts'], other: [] },
  }),
);
const message = (subject: string): string => `Subject: ${subject}\nFrom: a@x.example\n\nHello.\n.\nlast\n`;
const filter = (input: string | Buffer, ...args: string[]) =>
  runCommand(['filter', '-c', config, ...args], { input });

test('in a pipe: only what is known, line ends as they came', async () => {
  const { code, stdout, stderr } = await filter(message('hi'));
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'Subject: hi\nFrom: a@x.example\nX-Seen: pipe - - - <> -\n\nHello.\n.\nlast\n');
});

test('CRLF stays CRLF, and octets that are no text stay as they are', async () => {
  const octets = Buffer.concat([
    Buffer.from('Subject: hi\r\n\r\n'),
    Buffer.from([0xff, 0x00, 0x80]),
    Buffer.from('\r\n'),
  ]);
  const { stdout } = await filter(octets, '--pipeline', 'other', '--json');
  assert.equal(JSON.parse(stdout).verdict.action, 'continue');
  const printed = await filter('Subject: hi\r\n\r\nHello.\r\n', '--pipeline', 'other');
  assert.equal(printed.stdout, 'Subject: hi\r\n\r\nHello.\r\n');
});

test('as from a client: the hooks of a connection run, and there is a Received field', async () => {
  const client = [
    '--ip',
    '192.0.2.7',
    '--helo',
    'client.example',
    '--from',
    'a@x.example',
    '--rcpt',
    'b@y.example',
    'c@y.example',
  ];
  const { stdout } = await filter(message('hi'), ...client);
  assert.match(stdout, /^Received: from client\.example \(.*192\.0\.2\.7.*\n/);
  assert.match(
    stdout,
    /\nX-Seen: smtp 192\.0\.2\.7 client\.example - a@x\.example b@y\.example,c@y\.example\n/,
  );
});

test('as from a user', async () => {
  const { stdout } = await filter(message('hi'), '--user', 'u@example.org');
  assert.match(stdout, /\nX-Seen: submission 127\.0\.0\.1 - u@example\.org <> -\n/);
});

const verdicts = [
  { subject: 'reject', code: 77 },
  { subject: 'tempfail', code: 75 },
  { subject: 'discard', code: 99 },
  { subject: 'quarantine', code: 98 },
];
for (const { subject, code } of verdicts) {
  test(`${subject}: nothing is printed, exit code ${code}`, async () => {
    const result = await filter(message(subject));
    assert.equal(result.code, code);
    assert.equal(result.stdout, '');
    assert.match(result.stderr, new RegExp(`mailfilter: ${subject}.*as you wish`));
  });
}

test('a plugin that fails is never a pass', async () => {
  const { code, stdout } = await filter(message('throw'));
  assert.equal(code, 75);
  assert.equal(stdout, '');
});

test('a recipient that is refused', async () => {
  const { code, stdout } = await filter(message('hi'), '--rcpt', 'nobody@y.example', '--json');
  assert.equal(code, 77);
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    verdict: { action: 'reject', enhanced: '5.1.1' },
    endedAt: 'rcptTo',
  });
});

test('--json prints verdict, edits, score and trace', async () => {
  const { code, stdout } = await filter(message('hi'), '--json');
  assert.equal(code, 0);
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    verdict: { action: 'continue' },
    score: 2.5,
    edits: [{ type: 'addHeader', name: 'X-Seen' }],
    trace: [{ stage: 'message', plugin: 'obedient' }],
  });
});

const wrong = [
  { name: 'no message', args: [], input: '', code: 66, want: /no message/ },
  { name: 'an unknown pipeline', args: ['--pipeline', 'gone'], input: 'a', code: 64, want: /inbound, other/ },
  { name: 'an address that is none', args: ['--ip', '1.2.3'], input: 'a', code: 64, want: /no IP address/ },
];
for (const { name, args, input, code, want } of wrong) {
  test(`refuses ${name}`, async () => {
    const result = await filter(input, ...args);
    assert.equal(result.code, code);
    assert.match(result.stderr, want);
  });
}
