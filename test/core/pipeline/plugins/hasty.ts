/** Counts without waiting for the count. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'hasty',
  hooks: {
    async message({ message }, { state }) {
      if (message.headers.get('Subject') === 'look') return { result: (await state.get('seen')) ?? 0 };
      void state.increment('seen');
    },
  },
});
