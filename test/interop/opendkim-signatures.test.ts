/** OpenDKIM verifies what we sign, and we verify what it signs: RSA and Ed25519. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireProgram } from '../kit/require.ts';
import {
  domain,
  type KeyName,
  keyFolder,
  keyRecords,
  messages,
  run,
  signHere,
  verifyHere,
} from './dkim-messages.ts';

const folder = keyFolder();
/** Its test mode takes white space off the values of fields, so that the simple form of a header is not what was signed. */
const canonicalizations = ['relaxed/relaxed', 'relaxed/simple'] as const;

/** It wants LF on disk, as an MTA's spool would have it. */
const onDisk = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, Buffer.from(text.replaceAll('\r\n', '\n'), 'latin1'));
  return file;
};

test('it verifies ours', async (t) => {
  const opendkim = requireProgram(t, 'opendkim');
  if (opendkim === undefined) return;
  const zone = onDisk(
    'zone',
    Object.entries(keyRecords)
      .map(([name, text]) => `${name} ${text}\n`)
      .join(''),
  );
  const config = onDisk('verify.conf', `Mode v\nSyslog no\nTestDNSData ${zone}\n`);
  const files: string[] = [];
  for (const [index, text] of Object.values(messages).entries()) {
    for (const name of ['rsa', 'ed25519'] as const) {
      const canonicalization = canonicalizations[index % canonicalizations.length]!;
      files.push(onDisk(`ours-${index}-${name}`, await signHere(text, name, canonicalization)));
    }
  }
  const { stdout, stderr } = await run(opendkim, ['-x', config, '-t', files.join(',')]);
  for (const file of files) {
    const line = `${stdout}${stderr}`.split('\n').find((each) => each.includes(`${file}: verification`));
    assert.match(line ?? 'nothing was said', /succeeded/, file);
  }
});

test('it tells a changed one', async (t) => {
  const opendkim = requireProgram(t, 'opendkim');
  if (opendkim === undefined) return;
  const zone = onDisk(
    'zone',
    Object.entries(keyRecords)
      .map(([name, text]) => `${name} ${text}\n`)
      .join(''),
  );
  const config = onDisk('verify.conf', `Mode v\nSyslog no\nTestDNSData ${zone}\n`);
  const file = onDisk(
    'changed',
    (await signHere(messages.plain!, 'rsa', 'relaxed/relaxed')).replace('Bob', 'Eve'),
  );
  const { stdout, stderr } = await run(opendkim, ['-x', config, '-t', file]);
  assert.match(`${stdout}${stderr}`, /failed/);
});

for (const name of ['rsa', 'ed25519'] as readonly KeyName[]) {
  test(`we verify its ${name} signatures`, async (t) => {
    const opendkim = requireProgram(t, 'opendkim');
    if (opendkim === undefined) return;
    for (const [index, [title, text]] of Object.entries(messages).entries()) {
      const canonicalization = canonicalizations[index % canonicalizations.length]!;
      const config = onDisk(
        `${name}.conf`,
        [
          `Domain ${domain}\nMode s\nSelector ${name}\nKeyFile ${join(folder, `${name}.pem`)}`,
          `SignatureAlgorithm ${name}-sha256\nCanonicalization ${canonicalization}`,
          'OversignHeaders From\nRequireSafeKeys no\nSyslog no\n',
        ].join('\n'),
      );
      const { stdout } = await run(opendkim, ['-x', config, '-t', onDisk('theirs', text), '-v', '-v']);
      const value = /hname='DKIM-Signature' hvalue='([^']*)'/.exec(stdout)?.[1];
      assert.ok(value, `${title}: ${stdout}`);
      const signed = `DKIM-Signature: ${value.replace(/\r?\n/g, '\r\n')}\r\n${text}`;
      assert.deepEqual(
        (await verifyHere(signed)).map(({ result }) => result),
        ['pass'],
        title,
      );
    }
  });
}
