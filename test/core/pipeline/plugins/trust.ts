/** Accepts whatever it sees. */
import { accept, definePlugin } from 'mailfilter/plugin';

export default definePlugin({ name: 'trust', hooks: { message: () => accept() } });
