/** Has every message parsed, and leaves what came of it. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'parse',
  hooks: {
    message: async ({ message }) => {
      const parsed = await message.parsed();
      return {
        result: parsed.tooLarge ? `too large: ${parsed.reason}` : `${parsed.headerLines.length} fields`,
      };
    },
  },
});
