/** Reads the whole body, as a scanner would: SHA-256 into a header field. */
import { createHash } from 'node:crypto';
import { addHeader, definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'body-digest',
  kind: 'mutate',
  reads: ['body'],
  writes: ['header:X-Body-Digest'],
  hooks: {
    async message({ message }) {
      const hash = createHash('sha256');
      for await (const chunk of message.body()) hash.update(chunk);
      return { edits: [addHeader('X-Body-Digest', hash.digest('hex'))] };
    },
  },
});
