/** The queue as mailq has shown it since sendmail: programs and people know the form. */
import type { Config } from '../../../core/config/config.ts';
import type { QueueEntry } from '../../queue/queue.ts';
import { printable } from '../printable.ts';
import { lookInto, matching, recipientsOf } from './find.ts';

export function printMailq(config: Config): void {
  const entries = lookInto(config, [], (queue) => matching(queue, {}));
  process.stdout.write(entries.length === 0 ? 'Mail queue is empty\n' : mailq(entries));
}

function mailq(entries: readonly QueueEntry[]): string {
  const messages = Map.groupBy(entries, ({ transactionId }) => transactionId);
  const lines = ['-Queue ID-           --Size-- ----Arrival Time---- -Sender/Recipient-------'];
  for (const [id, parts] of messages) {
    const [first] = parts;
    const { length, createdAt, envelope } = first!;
    const marked = `${id}${parts.some(({ status }) => status === 'active') ? '*' : ''}${parts.every(({ status }) => status === 'held') ? '!' : ''}`;
    const arrived = new Date(createdAt).toISOString().replace('T', ' ').slice(0, 19);
    lines.push(
      `${marked.padEnd(20)} ${String(length).padStart(8)} ${arrived}  ${envelope.sender || 'MAILER-DAEMON'}`,
    );
    for (const part of parts) {
      if (part.lastError !== '') lines.push(`${' '.repeat(8)}(${part.lastError})`);
      for (const recipient of recipientsOf(part)) lines.push(`${' '.repeat(51)}${recipient}`);
    }
    lines.push('');
  }
  const octets = [...messages.values()].reduce((sum, [first]) => sum + first!.length, 0);
  lines.push(
    `-- ${Math.ceil(octets / 1024)} Kbytes in ${messages.size} Request${messages.size === 1 ? '' : 's'}.`,
  );
  return `${lines.map(printable).join('\n')}\n`;
}
