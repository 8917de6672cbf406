/** Looks at every header field and leaves a score: a cheap check. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'header-count',
  kind: 'score',
  reads: ['header:*'],
  hooks: {
    message({ message }) {
      let octets = 0;
      for (const field of message.headers) octets += field.value.length;
      return {
        score: message.headers.has('Message-ID') ? 0 : 0.1,
        result: { fields: message.headers.count, octets },
      };
    },
  },
});
