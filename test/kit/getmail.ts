/** A getmail configuration that delivers into a Maildir; getmail refuses to do that as root, so there it is nobody's. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param retriever lines of the retriever's section @returns the command's arguments, and where mail lands */
export function getmailSetUp(
  home: string,
  retriever: readonly string[],
): { args: string[]; maildir: string } {
  const maildir = join(home, 'got');
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(maildir, part), { recursive: true });
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    execFileSync('chown', ['-R', 'nobody', maildir]);
    chmodSync(home, 0o755);
  }
  const configuration = [
    '[retriever]',
    ...retriever,
    '[destination]',
    'type = Maildir',
    `path = ${maildir}/`,
    ...(isRoot ? ['user = nobody'] : []),
    '[options]',
    'verbose = 0',
    'read_all = false',
  ];
  mkdirSync(join(home, 'conf'));
  writeFileSync(join(home, 'conf', 'getmailrc'), `${configuration.join('\n')}\n`);
  return { args: ['--getmaildir', join(home, 'conf'), '--rcfile', 'getmailrc'], maildir };
}
