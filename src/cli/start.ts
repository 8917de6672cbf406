/** `mailfilter start`: runs the demo installation and says what listens, how to send a message, and where it lands. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { serve } from '../supervisor.ts';
import { type Demo, demoDirectory, ensureDemo } from './demo-installation.ts';
import { endWithParent } from './end-with-parent.ts';

export function define(command: Command): void {
  command
    .option('--directory <folder>', 'where the demo installation lies (default: .mailfilter in the clone)')
    .action(async (options: { directory?: string }) => {
      const demo = await ensureDemo(options.directory ?? demoDirectory());
      const config = loadConfig(demo.configFile);
      endWithParent();
      process.exitCode = await serve(demo.configFile, {
        onReady: (lines) => process.stdout.write(introduction(demo, config, lines)),
      });
    });
}

function introduction(demo: Demo, config: Config, lines: readonly string[]): string {
  const [recipient = ''] = demo.credentials.keys();
  const port = smtpPort(config);
  return [
    'mailfilter is running:',
    ...lines.map((line) => `  ${line}`),
    '',
    'Send a message (in another terminal):',
    ...sendCommands(port, recipient).map((line) => `  ${line}`),
    '',
    `It lands in ${mailboxOf(config, recipient)}/new`,
    ...readCommands(config, demo),
    `Users and passwords: ${demo.credentialsFile}`,
    ...[...demo.credentials].map(([address, password]) => `  ${address}  ${password}`),
    `Config: ${demo.configFile}`,
    ...(config.log.file === undefined ? [] : [`Log:    ${config.log.file}`]),
    'Ctrl-C stops.',
    '',
  ].join('\n');
}

/** The demo always works; curl and swaks where the machine has them. */
function sendCommands(port: number, recipient: string): string[] {
  const commands: string[] = [];
  if (onPath('curl')) {
    const message = `From: you@example.org\\nTo: ${recipient}\\nSubject: hello\\n\\nHello!\\n`;
    commands.push(
      `printf '${message}' | curl -sS --crlf -T - smtp://127.0.0.1:${port} --mail-from you@example.org --mail-rcpt ${recipient}`,
    );
  }
  if (onPath('swaks'))
    commands.push(`swaks --server 127.0.0.1:${port} --from you@example.org --to ${recipient}`);
  return [...commands, 'npm run demo'];
}

/** Over IMAP and POP3, with the demo's own certificate. */
function readCommands(config: Config, demo: Demo): string[] {
  const [user] = demo.credentials;
  if (!user || !onPath('curl')) return [];
  const curl = `curl -sS --cacert '${demo.certificateFile}' -u '${user.join(':')}'`;
  const imaps = tlsPort(config, 'imap');
  const pop3s = tlsPort(config, 'pop3');
  const commands = [
    ...(imaps === undefined ? [] : [`${curl} 'imaps://127.0.0.1:${imaps}/INBOX;MAILINDEX=1'`]),
    ...(pop3s === undefined ? [] : [`${curl} 'pop3s://127.0.0.1:${pop3s}/1'`]),
  ];
  return commands.length === 0 ? [] : ['', 'Read it:', ...commands.map((line) => `  ${line}`), ''];
}

function tlsPort(config: Config, protocol: 'imap' | 'pop3'): number | undefined {
  const found = config.listeners.find((each) => each.protocol === protocol && each.tls === 'implicit');
  return found?.address.kind === 'tcp' ? found.address.port : undefined;
}

function smtpPort(config: Config): number {
  const smtp = config.listeners.find(({ protocol }) => protocol === 'smtp');
  return smtp?.address.kind === 'tcp' ? smtp.address.port : 2525;
}

/** Path of a user's mailbox as the config's template gives it. */
function mailboxOf(config: Config, address: string): string {
  const at = address.lastIndexOf('@');
  return config.mailbox.path
    .replaceAll('{user}', address.slice(0, at))
    .replaceAll('{domain}', address.slice(at + 1))
    .replaceAll('{address}', address);
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      // Not there, or not for us to run: the next folder.
      return false;
    }
  });
}
