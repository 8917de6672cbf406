/** Says in which stages it ran, and what it was given. */
import {
  addHeader,
  addRecipient,
  changeSender,
  definePlugin,
  deleteRecipient,
  reject,
} from 'mailfilter/plugin';

export default definePlugin({
  name: 'stages',
  writes: ['recipients', 'sender'],
  hooks: {
    connect: ({ connection }) => ({ result: { connect: connection.remoteIp } }),
    helo: ({ session, results }) => ({ result: { helo: session.helo, before: results.stages ?? null } }),
    mailFrom: ({ envelope }) =>
      envelope.sender === 'forward@example.org' ? { edits: [changeSender('srs@example.test')] } : undefined,
    rcptTo({ recipient, route }) {
      if (route === 'unknown-user') return reject(550, '5.1.1', 'unknown');
      if (!recipient.address.startsWith('info@')) return;
      return {
        edits: [
          deleteRecipient(recipient.address),
          addRecipient('alice@example.test'),
          addRecipient('bob@example.test'),
        ],
      };
    },
    deliver({ recipient, user, detail }) {
      if (user === 'full')
        return { verdict: { action: 'tempfail', code: 452, enhanced: '4.2.2', text: 'full' } };
      return {
        actions: [{ type: 'store', mailbox: detail === '' ? 'INBOX' : detail }],
        edits: [addHeader('X-For', recipient.address)],
      };
    },
    close: ({ reason }) => ({ result: reason }),
  },
});
