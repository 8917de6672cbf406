/** Says to each recipient what its detail names: `alice+reject@...`; `later` is a tempfail of the deliver hook, the first two times. */
import {
  addHeader,
  definePlugin,
  discard,
  quarantine,
  type RecipientResult,
  reject,
  tempfail,
} from 'mailfilter/plugin';

const answers: Readonly<Record<string, RecipientResult>> = {
  reject: { verdict: reject(550, '5.7.1', 'refused by rule') },
  tempfail: { verdict: tempfail(451, '4.7.1', 'not now by rule') },
  discard: { verdict: discard('not wanted') },
  quarantine: { verdict: quarantine('to be looked at') },
  edit: { edits: [addHeader('X-Edited', 'for one alone')] },
};

const detailOf = (address: string) => /\+(.*)@/.exec(address)?.[1] ?? '';

export default definePlugin({
  name: 'by-recipient',
  hooks: {
    message: ({ envelope }) => {
      const said = envelope.recipients.flatMap(({ id, address }) => {
        const answer = answers[detailOf(address)];
        return answer === undefined ? [] : [[id, answer] as const];
      });
      return { recipients: Object.fromEntries(said) };
    },
    deliver: async ({ id, detail }, { state }) => {
      if (detail !== 'later') return undefined;
      const times = await state.increment(id);
      if (times <= 2) return tempfail(451, '4.7.1', `not before the third time, this is ${times}`);
      return { result: { times }, actions: [{ type: 'store', mailbox: 'INBOX' }] };
    },
  },
});
