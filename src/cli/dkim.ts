/** `mailfilter dkim keygen`: a signing key in a file, and the record to add to DNS. RFC 6376 section 3.6.2, RFC 8463. */
import { existsSync, writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { keyRecord, makeSigningKey } from '../../core/auth/dkim/private-key.ts';
import { isSelector } from '../../core/auth/dkim/signature.ts';
import { canonicalDomain } from '../../core/config/domain.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { txtLine } from './zone-line.ts';

interface Options {
  domain: string;
  selector: string;
  type: 'rsa' | 'ed25519';
  bits: string;
  out?: string;
  json?: boolean;
}

export function define(command: Command): void {
  command
    .command('keygen')
    .description('write a private key, print the record for DNS')
    .requiredOption('--domain <name>', 'domain that signs (d=)')
    .requiredOption('--selector <name>', 'name of the key (s=): a new one for each key')
    .addOption(new Option('--type <type>', 'kind of key').choices(['rsa', 'ed25519']).default('rsa'))
    .option('--bits <number>', 'of an RSA key: 1024 to 4096', '2048')
    .option('--out <file>', 'where the key goes (default: SELECTOR.pem)')
    .option('--json', 'print the facts as JSON')
    .action(keygen);
}

function keygen(options: Options): void {
  const { selector, type } = options;
  const domain = canonicalDomain(options.domain);
  if (domain === undefined)
    throw new CommandError(exitCodes.usage, `--domain ${options.domain} is no domain name`);
  if (!isSelector(selector))
    throw new CommandError(exitCodes.usage, `--selector ${selector} is no name for a key`);
  const bits = Number(options.bits);
  // RFC 8301 section 3.2
  if (!Number.isInteger(bits) || bits < 1024 || bits > 4096)
    throw new CommandError(exitCodes.usage, `--bits ${options.bits} is no number from 1024 to 4096`);
  const file = options.out ?? `${selector}.pem`;
  if (existsSync(file))
    throw new CommandError(exitCodes.cannotCreate, `${file} is there already`, 'Choose another --out.');
  const key = makeSigningKey(type, bits);
  writeFileSync(file, key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  const name = `${selector}._domainkey.${domain}`;
  const text = keyRecord(key);
  if (options.json === true)
    process.stdout.write(`${JSON.stringify({ file, name, type: 'TXT', text }, null, 2)}\n`);
  else
    process.stdout.write(
      `Wrote ${file}. Add to DNS:\n\n  ${txtLine(name, text)}\n\nThen sign with it:\n\n  ${JSON.stringify({
        plugin: 'dkim-sign',
        options: { domain, selector, keyFile: file },
      })}\n`,
    );
}
