/** Does what the message's own X-Do field or the sender's address asks for: one plugin for all cases of a door. */
import {
  addHeader,
  addRecipient,
  changeHeader,
  changeSender,
  definePlugin,
  deleteHeader,
  deleteRecipient,
  discard,
  type Edit,
  type HookResult,
  insertHeader,
  quarantine,
  reject,
  replaceBody,
  tempfail,
} from 'mailfilter/plugin';

const edits: Readonly<Record<string, readonly Edit[]>> = {
  add: [addHeader('X-Added', 'at the end')],
  top: [insertHeader(0, 'X-Top', 'second'), insertHeader(0, 'X-Top', 'first')],
  middle: [insertHeader(1, 'X-Middle', 'after the first field')],
  change: [changeHeader('X-Twice', 2, 'changed'), changeHeader('Subject', 1, 'grün')],
  delete: [deleteHeader('X-Twice', 1), changeHeader('X-Twice', 1, 'the one that is left')],
  all: [deleteHeader('X-Twice')],
  fold: [addHeader('X-Folded', 'one\r\n two\r\n\tthree')],
  body: [replaceBody(`new body\n${'long line '.repeat(80)}\n.\nend\n`)],
  large: [replaceBody(`${'x'.repeat(70)}\n`.repeat(3000))],
  empty: [replaceBody('')],
  sender: [changeSender('changed@example.org')],
  parameters: [changeSender('changed@example.org', { ENVID: 'abc' })],
  recipients: [addRecipient('carol@example.test'), deleteRecipient('alice@example.test')],
};

export default definePlugin({
  name: 'as-told',
  hooks: {
    connect: ({ connection: { remoteIp } }) =>
      remoteIp === '192.0.2.1' || remoteIp === '127.0.0.2' ? reject(554, '5.7.1', 'not you') : undefined,
    helo: ({ session }) => at('helo', session.helo),
    mailFrom: ({ envelope }) => at('mail', envelope.sender),
    rcptTo: ({ recipient }) => at('rcpt', recipient.address),
    data: ({ envelope }) => at('data', envelope.sender),
    async message({ message, envelope }): Promise<HookResult> {
      const told = message.headers.get('X-Do') ?? '';
      let octets = 0;
      for await (const chunk of message.body()) octets += (chunk as Buffer).length;
      if (told === 'hang') {
        console.log('as told: hang');
        await new Promise((resolve) => setTimeout(resolve, 20_000));
      }
      if (told === 'slow') await new Promise((resolve) => setTimeout(resolve, 7000));
      if (told === 'differ') {
        return { recipients: { [envelope.recipients[0]!.id]: { edits: [addHeader('X-Only', 'one')] } } };
      }
      if (told === 'drop-one') {
        return { recipients: { [envelope.recipients[0]!.id]: { verdict: discard('not for you') } } };
      }
      if (told === 'refuse-one') {
        return { recipients: { [envelope.recipients[0]!.id]: { verdict: reject(550, '5.7.1', 'not you') } } };
      }
      if (told === 'envelope') {
        const facts = [envelope.sender, envelope.smtputf8, message.headers.get('Subject')];
        return { edits: [addHeader('X-Envelope', facts.join(' '))] };
      }
      if (told === 'size') return { edits: [addHeader('X-Size', String(octets))] };
      return edits[told] ? { edits: [...edits[told]] } : verdictOf(told);
    },
  },
});

/** `mail-reject@example.org`: the stage and the verdict. */
function at(stage: string, text: string): HookResult {
  const [where, verdict = ''] = text.split(/[-@.]/);
  return where === stage ? verdictOf(verdict) : undefined;
}

function verdictOf(word: string): HookResult {
  if (word === 'reject') return reject(550, '5.7.1', '100% refused\nand that is final');
  if (word === 'tempfail') return tempfail(451, '4.7.1', 'come back later');
  if (word === 'discard') return discard('as told');
  if (word === 'quarantine') return quarantine('as told');
  return undefined;
}
