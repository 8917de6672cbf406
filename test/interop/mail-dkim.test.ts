/** Mail::DKIM, on which SpamAssassin and dkimproxy (not in Debian 12) stand, verifies what we sign, and we verify what it signs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { serveZone } from '../kit/dns-server.ts';
import { requirePeer } from '../kit/require.ts';
import {
  canonicalizations,
  domain,
  keyFolder,
  messages,
  run,
  signHere,
  verifyHere,
  zone,
} from './dkim-messages.ts';

const folder = keyFolder();
const dns = await serveZone(zone);
after(() => dns.close());
const port = dns.address.split(':')[1]!;

const verifier = `
  use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS::Resolver;
  Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $ARGV[0]));
  my $dkim = Mail::DKIM::Verifier->new();
  binmode STDIN; local $/; $dkim->PRINT(<STDIN>); $dkim->CLOSE;
  print join(',', map { $_->result } $dkim->signatures);`;
const signer = `
  use Mail::DKIM::Signer;
  my ($key, $selector, $method) = @ARGV;
  my $dkim = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => $method, Domain => '${domain}', Selector => $selector, KeyFile => $key);
  binmode STDIN; local $/; $dkim->PRINT(<STDIN>); $dkim->CLOSE;
  print $dkim->signature->as_string;`;

const hasMailDkim = existsSync('/usr/share/perl5/Mail/DKIM.pm');

test('it verifies ours', async (t) => {
  if (!requirePeer(t, 'Mail::DKIM', hasMailDkim)) return;
  for (const [index, [title, text]] of Object.entries(messages).entries()) {
    const canonicalization = canonicalizations[index % canonicalizations.length]!;
    const signed = await signHere(text, 'rsa', canonicalization);
    const { stdout, stderr } = await run('perl', ['-e', verifier, port], signed);
    assert.equal(stdout, 'pass', `${title} ${canonicalization} ${stderr}`);
  }
  const changed = (await signHere(messages.plain!, 'rsa', 'relaxed/relaxed')).replace('Bob', 'Eve');
  assert.equal((await run('perl', ['-e', verifier, port], changed)).stdout, 'fail');
});

test('we verify its own', async (t) => {
  if (!requirePeer(t, 'Mail::DKIM', hasMailDkim)) return;
  for (const [index, [title, text]] of Object.entries(messages).entries()) {
    const canonicalization = canonicalizations[index % canonicalizations.length]!;
    const { stdout, stderr } = await run(
      'perl',
      ['-e', signer, join(folder, 'rsa.pem'), 'rsa', canonicalization],
      text,
    );
    assert.match(stdout, /^DKIM-Signature: /, stderr);
    const results = await verifyHere(`${stdout.replace(/\r?\n/g, '\r\n')}\r\n${text}`);
    assert.deepEqual(
      results.map(({ result, reason }) => `${result} ${reason}`),
      ['pass '],
      `${title} ${canonicalization}`,
    );
  }
});
