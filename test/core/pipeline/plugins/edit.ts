/** Answers with everything an answer can hold. */
import { addHeader, definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'edit',
  options: { value: { type: 'string', default: 'yes' } },
  writes: ['header:X-Edit'],
  hooks: {
    message: ({ message }, { options, log }) => {
      log('seen', { length: message.length });
      return { edits: [addHeader('X-Edit', options.value)], result: { length: message.length }, score: 1.5 };
    },
  },
});
