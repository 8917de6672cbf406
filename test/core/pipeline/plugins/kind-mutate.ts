/** A plugin of kind mutate that leaves a mark. */
import { addHeader, definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'kind-mutate',
  kind: 'mutate',
  hooks: { message: () => ({ edits: [addHeader('X-Kind', 'mutate')], score: 1 }) },
});
