/** Reads the whole body and leaves its length and SHA-256, as a scanner that looks at every octet would. */
import { createHash } from 'node:crypto';
import { addHeader, definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'body-digest',
  hooks: {
    message: async ({ message }) => {
      const hash = createHash('sha256');
      let length = 0;
      for await (const chunk of message.body() as AsyncIterable<Buffer>) {
        hash.update(chunk);
        length += chunk.length;
      }
      const sha256 = hash.digest('hex');
      return { result: { length, sha256 }, edits: [addHeader('X-Body-SHA256', sha256)] };
    },
  },
});
