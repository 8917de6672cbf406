/** DKIM, SPF and all four checks: messages a second on one thread, and CPU, beside mailauth in the same run and OpenDKIM. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyArc } from '../../core/auth/arc/verify.ts';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { signDkim } from '../../core/auth/dkim/sign.ts';
import { verifyDkim } from '../../core/auth/dkim/verify.ts';
import { evaluateDmarc } from '../../core/auth/dmarc/evaluate.ts';
import { checkHost } from '../../core/auth/spf/check-host.ts';
import type { Message } from '../../core/mail/message.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { memoryDns, type ZoneRecords } from '../../core/net/dns-zone.ts';
import { memorySource } from '../kit/message-source.ts';

interface Mailauth {
  authenticate(message: Buffer, options: object): Promise<unknown>;
  dkimVerify(message: Buffer, options: object): Promise<unknown>;
  dkimSign(message: Buffer, options: object): Promise<{ signatures: string }>;
  spf(options: object): Promise<unknown>;
}
const require = createRequire(import.meta.url);
const mailauth: Mailauth = {
  authenticate: require('mailauth').authenticate,
  dkimVerify: require('mailauth/lib/dkim/verify').dkimVerify,
  dkimSign: require('mailauth/lib/dkim/sign').dkimSign,
  spf: require('mailauth/lib/spf').spf,
};

const roundMs = 1500;
const keys = { rsa: makeSigningKey('rsa', 2048), ed25519: makeSigningKey('ed25519') } as const;
const pem = { rsa: keyPem('rsa'), ed25519: keyPem('ed25519') };
const zone: Record<string, ZoneRecords> = {
  'example.org': {
    TXT: ['v=spf1 a:a.example.org mx include:inc.example.org -all'],
    MX: [{ exchange: 'mx.example.org', preference: 5 }],
  },
  'a.example.org': { A: ['198.51.100.1'] },
  'mx.example.org': { A: ['198.51.100.2'] },
  'inc.example.org': { TXT: ['v=spf1 ip4:192.0.2.0/24 ~all'] },
  '_dmarc.example.org': { TXT: ['v=DMARC1; p=reject'] },
  'rsa._domainkey.example.org': { TXT: [keyRecord(keys.rsa)] },
  'ed25519._domainkey.example.org': { TXT: [keyRecord(keys.ed25519)] },
};
const dns = memoryDns(zone);

/** As node:dns answers, from the same table. */
async function resolver(name: string, type: string): Promise<unknown> {
  const records = zone[name.toLowerCase()]?.[type as 'TXT'] as readonly unknown[] | undefined;
  if (records === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
  if (type === 'TXT') return records.map((text) => [text]);
  if (type === 'MX')
    return (records as { exchange: string; preference: number }[]).map(({ exchange, preference }) => ({
      exchange,
      priority: preference,
    }));
  return records;
}

function keyPem(type: keyof typeof keys): string {
  return keys[type].export({ type: 'pkcs8', format: 'pem' }) as string;
}

const names = ['From', 'To', 'Subject', 'Date', 'Message-ID', 'MIME-Version', 'Content-Type'];

function makeText(bytes: number): string {
  const fields = Array.from(
    { length: 12 },
    (_, index) => `X-Field-${index}: some value of a field that is there\r\n`,
  );
  const head = `Received: from a by b; Sat, 21 Nov 2026 12:00:00 +0000\r\n${fields.join('')}From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n`;
  const line = 'The quick brown fox jumps over the lazy dog, again and again.\r\n';
  return head + line.repeat(Math.ceil((bytes - head.length) / line.length));
}

const open = (text: string): Message => openMessage(memorySource(text), []);

async function signedText(text: string, type: keyof typeof keys): Promise<string> {
  return `DKIM-Signature: ${(await signHere(text, type))[0]}\r\n${text}`;
}

function signHere(text: string | Message, type: keyof typeof keys): Promise<string[]> {
  return signDkim(
    typeof text === 'string' ? open(text) : text,
    [{ domain: 'example.org', selector: type, key: keys[type] }],
    {
      now: Date.now(),
      signedNames: names,
      oversignedNames: [],
      headerCanonicalization: 'relaxed',
      bodyCanonicalization: 'relaxed',
    },
  );
}

/** Calls a second, and CPU milliseconds of one. */
async function measure(work: () => Promise<unknown>): Promise<{ rate: number; cpuMs: number }> {
  for (let warm = 0; warm < 20; warm++) await work();
  const cpu = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < roundMs) {
    await work();
    count++;
  }
  const { user, system } = process.cpuUsage(cpu);
  return { rate: (count * 1000) / (performance.now() - start), cpuMs: (user + system) / 1000 / count };
}

async function compare(
  name: string,
  ours: () => Promise<unknown>,
  theirs: () => Promise<unknown>,
): Promise<void> {
  const mine = await measure(ours);
  const others = await measure(theirs);
  const cells = [
    mine.rate.toFixed(0),
    mine.cpuMs.toFixed(3),
    others.rate.toFixed(0),
    others.cpuMs.toFixed(3),
    (mine.cpuMs / others.cpuMs).toFixed(2),
  ];
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}

const spfQuestion = { ip: '192.0.2.7', sender: 'ann@example.org', helo: 'mail.example.org' };

function checkSpf() {
  return checkHost({ ...spfQuestion, receiver: 'mx.example.net', now: Date.now() }, dns);
}

/** What the four plugins do for one message. */
async function allFour(text: string): Promise<void> {
  const message = open(text);
  const now = Date.now();
  const spf = await checkSpf();
  const dkim = await verifyDkim(message, dns, { now });
  await verifyArc(message, dns, { now });
  await evaluateDmarc(
    { author: 'example.org', spf: { domain: spf.domain, result: spf.result }, dkim, mode: 'rfc9989' },
    dns,
  );
}

console.log('| | a second | CPU ms | mailauth, a second | CPU ms | CPU ratio |\n|---|---|---|---|---|---|');
for (const [size, bytes] of [
  ['10 KB', 10_000],
  ['1 MB', 1_000_000],
] as const) {
  const text = makeText(bytes);
  for (const type of ['rsa', 'ed25519'] as const) {
    const signed = await signedText(text, type);
    const buffer = Buffer.from(signed, 'latin1');
    const source = memorySource(signed);
    await compare(
      `DKIM verify, ${type}, ${size}`,
      () => verifyDkim(openMessage(source, []), dns, { now: Date.now() }),
      () => mailauth.dkimVerify(buffer, { resolver }),
    );
    const plain = memorySource(text);
    const plainBuffer = Buffer.from(text, 'latin1');
    const signatureData = [{ signingDomain: 'example.org', selector: type, privateKey: pem[type] }];
    await compare(
      `DKIM sign, ${type}, ${size}`,
      () => signHere(openMessage(plain, []), type),
      () =>
        mailauth.dkimSign(plainBuffer, {
          signatureData,
          headerList: names,
          canonicalization: 'relaxed/relaxed',
        }),
    );
  }
}
await compare('SPF, warm', checkSpf, () =>
  mailauth.spf({ sender: spfQuestion.sender, ip: spfQuestion.ip, helo: spfQuestion.helo, resolver }),
);
const both = await signedText(makeText(10_000), 'rsa');
const bothBuffer = Buffer.from(both, 'latin1');
await compare(
  'SPF, DKIM (rsa), DMARC, ARC, 10 KB',
  () => allFour(both),
  () =>
    mailauth.authenticate(bothBuffer, { ...spfQuestion, mta: 'mx.example.net', resolver, disableBimi: true }),
);

/** OpenDKIM reads files and verifies or signs each; one run less its start, CPU of the process alone. */
function openDkim(mode: 'v' | 's', type: keyof typeof keys, bytes: number, text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'bench-opendkim-'));
  try {
    const config = join(folder, 'conf');
    writeFileSync(join(folder, 'zone'), `${type}._domainkey.example.org ${keyRecord(keys[type])}\n`);
    writeFileSync(join(folder, 'key.pem'), pem[type], { mode: 0o600 });
    const signing = `Domain example.org\nSelector ${type}\nKeyFile ${join(folder, 'key.pem')}\nSignatureAlgorithm ${type}-sha256\nRequireSafeKeys no\n`;
    writeFileSync(
      config,
      `Mode ${mode}\nSyslog no\nCanonicalization relaxed/relaxed\nTestDNSData ${join(folder, 'zone')}\n${mode === 's' ? signing : ''}`,
    );
    const message = join(folder, 'message');
    writeFileSync(message, text.replaceAll('\r\n', '\n'));
    const count = bytes > 100_000 ? 60 : 1000;
    const run = (times: number) => {
      const start = performance.now();
      const script = `import resource,subprocess,sys\nsubprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL)\nu=resource.getrusage(resource.RUSAGE_CHILDREN)\nprint(u.ru_utime+u.ru_stime)`;
      const { stdout } = spawnSync(
        '/usr/bin/python3',
        ['-c', script, 'opendkim', '-x', config, '-t', new Array(times).fill(message).join(',')],
        { encoding: 'utf8' },
      );
      return { cpu: Number(stdout), wall: performance.now() - start };
    };
    const [one, many] = [run(1), run(count + 1)];
    const cpuMs = ((many.cpu - one.cpu) * 1000) / count;
    console.log(
      `| OpenDKIM ${mode === 'v' ? 'verify' : 'sign'}, ${type}, ${bytes > 100_000 ? '1 MB' : '10 KB'} | ${((count * 1000) / (many.wall - one.wall)).toFixed(0)} | ${cpuMs.toFixed(3)} |`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

console.log('\n| | a second | CPU ms |\n|---|---|---|');
for (const bytes of [10_000, 1_000_000]) {
  for (const type of ['rsa', 'ed25519'] as const) {
    const text = makeText(bytes);
    openDkim('v', type, bytes, await signedText(text, type));
    openDkim('s', type, bytes, text);
  }
}
