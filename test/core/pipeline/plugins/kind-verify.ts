/** A plugin of kind verify that leaves a mark. */
import { definePlugin } from 'mailfilter/plugin';

export default definePlugin({
  name: 'kind-verify',
  kind: 'verify',
  hooks: { message: () => ({ result: 'ran', score: 1 }) },
});
