/** Messages, keys and programs for trying DKIM and ARC with what others wrote. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { signDkim } from '../../core/auth/dkim/sign.ts';
import { type DkimResult, verifyDkim } from '../../core/auth/dkim/verify.ts';
import type { Message } from '../../core/mail/message.ts';
import { openMessage } from '../../core/mail/open-message.ts';
import { memoryDns, type ZoneData } from '../../core/net/dns-zone.ts';
import { type CommandResult, collect } from '../kit/command.ts';
import { memorySource } from '../kit/message-source.ts';

export const keys = { rsa: makeSigningKey('rsa', 2048), ed25519: makeSigningKey('ed25519') };
export type KeyName = keyof typeof keys;
export const domain = 'example.org';
/** The selector is the name of the key. */
export const keyRecords = Object.fromEntries(
  Object.entries(keys).map(([name, key]) => [`${name}._domainkey.${domain}`, keyRecord(key)]),
);
export const zone: ZoneData = Object.fromEntries(
  Object.entries(keyRecords).map(([name, text]) => [name, { TXT: [text] }]),
);

const header =
  'Received: from a by b; Sat, 21 Nov 2026 12:00:00 +0000\r\nFrom: "Ann  B." <ann@example.org>\r\nTo: bob@example.net,\r\n\tcarol@example.net\r\nSubject:  hello   world \r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n';

/** What canonicalization can go wrong with. */
export const messages: Readonly<Record<string, string>> = {
  plain: `${header}\r\nHello Bob,\r\n\r\nbye.\r\n`,
  'white space everywhere': `${header}\r\n  Hello \t Bob, \r\n\t\r\n \r\nbye.  \r\n\r\n\r\n`,
  'no body': `${header}\r\n`,
  'empty lines alone': `${header}\r\n\r\n\r\n`,
  '8-bit and long lines': `${header}\r\n${'\xe4\xf6\xfc '.repeat(200)}\r\n${'x'.repeat(900)}\r\n`,
  'a large body': `${header}\r\n${'The quick brown fox jumps over the lazy dog.\r\n'.repeat(3000)}`,
};

export const canonicalizations = ['relaxed/relaxed', 'simple/simple', 'relaxed/simple'] as const;

export function open(text: string): Message {
  return openMessage(memorySource(text), []);
}

export async function signHere(text: string, name: KeyName, canonicalization: string): Promise<string> {
  const [headerCanonicalization, bodyCanonicalization] = canonicalization.split('/') as [
    'simple' | 'relaxed',
    'simple' | 'relaxed',
  ];
  const [value] = await signDkim(open(text), [{ domain, selector: name, key: keys[name] }], {
    now: Date.now(),
    signedNames: ['From', 'To', 'Subject', 'Date', 'Message-ID'],
    oversignedNames: ['From'],
    headerCanonicalization,
    bodyCanonicalization,
  });
  return `DKIM-Signature: ${value}\r\n${text}`;
}

export function verifyHere(text: string): Promise<DkimResult[]> {
  return verifyDkim(open(text), memoryDns(zone), { now: Date.now() });
}

/** A folder with `rsa.pem` and `ed25519.pem`, closed to others, that goes with the test file. */
export function keyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-peers-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, key] of Object.entries(keys)) {
    writeFileSync(join(folder, `${name}.pem`), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  }
  return folder;
}

/** Runs a program with a message as its input; characters are octets. */
export function run(program: string, args: readonly string[], input = ''): Promise<CommandResult> {
  return collect(spawn(program, args), Buffer.from(input, 'latin1'));
}
