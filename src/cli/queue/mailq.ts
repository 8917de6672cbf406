/** The queue as mailq has shown it since sendmail: programs and people know the form. */
import { basename } from 'node:path';
import type { Config } from '../../../core/config/config.ts';
import type { QueueEntry } from '../../queue/queue.ts';
import { printable } from '../printable.ts';
import type { KeptMail } from '../sendmail/kept.ts';
import { lookInto, matching, recipientsOf } from './find.ts';

export function printMailq(config: Config): void {
  const entries = lookInto(config, [], (queue) => matching(queue, {}));
  const messages = Map.groupBy(entries, ({ transactionId }) => transactionId);
  process.stdout.write(listing([...messages].map(listed)));
}

/** As `printMailq`, of a null client, which has no queue but what it could not send. */
export async function printKeptMail(mail: AsyncIterable<KeptMail>): Promise<void> {
  const messages: Listed[] = [];
  for await (const { path, envelope, message, since } of mail) {
    messages.push({
      id: basename(path, '.drop').slice(0, 20),
      length: message.length,
      arrivedAt: since,
      sender: envelope.sender ?? '',
      parts: [{ reason: '', recipients: envelope.recipients }],
    });
  }
  process.stdout.write(listing(messages));
}

/** One message as it is shown. */
interface Listed {
  /** With the mark of one that is active or held. */
  readonly id: string;
  readonly length: number;
  /** Epoch milliseconds. */
  readonly arrivedAt: number;
  readonly sender: string;
  readonly parts: readonly { readonly reason: string; readonly recipients: readonly string[] }[];
}

function listed([id, parts]: [string, readonly QueueEntry[]]): Listed {
  const { length, createdAt, envelope } = parts[0]!;
  const active = parts.some(({ status }) => status === 'active') ? '*' : '';
  const held = parts.every(({ status }) => status === 'held') ? '!' : '';
  return {
    id: `${id}${active}${held}`,
    length,
    arrivedAt: createdAt,
    sender: envelope.sender,
    parts: parts.map((part) => ({ reason: part.lastError, recipients: recipientsOf(part) })),
  };
}

function listing(messages: readonly Listed[]): string {
  if (messages.length === 0) return 'Mail queue is empty\n';
  const lines = ['-Queue ID-           --Size-- ----Arrival Time---- -Sender/Recipient-------'];
  for (const { id, length, arrivedAt, sender, parts } of messages) {
    const arrived = new Date(arrivedAt).toISOString().replace('T', ' ').slice(0, 19);
    lines.push(`${id.padEnd(20)} ${String(length).padStart(8)} ${arrived}  ${sender || 'MAILER-DAEMON'}`);
    for (const { reason, recipients } of parts) {
      if (reason !== '') lines.push(`${' '.repeat(8)}(${reason})`);
      for (const recipient of recipients) lines.push(`${' '.repeat(51)}${recipient}`);
    }
    lines.push('');
  }
  const octets = messages.reduce((sum, { length }) => sum + length, 0);
  const requests = `${messages.length} Request${messages.length === 1 ? '' : 's'}`;
  lines.push(`-- ${Math.ceil(octets / 1024)} Kbytes in ${requests}.`);
  return `${lines.map(printable).join('\n')}\n`;
}
