/** Holds a message for the milliseconds that its X-Wait field names, as a slow scanner would. */
import { setTimeout as delay } from 'node:timers/promises';
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'slow',
  hooks: {
    message: async ({ message }) => {
      const waitMs = Number(message.headers.get('X-Wait') ?? 0);
      if (waitMs > 0) await delay(waitMs);
    },
  },
});
