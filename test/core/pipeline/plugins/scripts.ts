/** Answers with the user's script, as a deliver hook finds it. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'scripts',
  kind: 'deliver',
  scripts: ['sieve'],
  hooks: {
    async deliver(_, { scripts }) {
      const first = await scripts.load('sieve');
      const second = await scripts.load('sieve');
      return { actions: [{ type: 'discard', reason: `${first?.source}, ${first === second}` }] };
    },
  },
});
