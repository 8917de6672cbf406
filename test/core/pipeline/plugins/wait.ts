/** Waits as many milliseconds as X-Wait says, without holding the thread. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'wait',
  hooks: {
    async message({ message }) {
      const ms = Number(message.headers.get('X-Wait') ?? 0);
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      return { result: ms };
    },
  },
});
