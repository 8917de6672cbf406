/** Counts what it saw of a connection in the memory of its thread. */
import { definePlugin } from 'mailfilter/plugin';

const seen = new Map<string, number>();

export default definePlugin({
  name: 'affine',
  affinity: 'connection',
  hooks: {
    message({ connection, message }) {
      if (message.headers.get('Subject') === 'exit') process.exit();
      seen.set(connection.id, (seen.get(connection.id) ?? 0) + 1);
      return { result: seen.get(connection.id) ?? 0 };
    },
  },
});
