/** Counts messages in state; what a second run of the same message must not count twice. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'count',
  hooks: {
    message: async (_, { state }) => ({
      result: [
        await state.increment('seen'),
        await state.increment('seen'),
        await state.setIfAbsent('first', 1),
      ],
    }),
  },
});
