/** Fails in the way that the Subject names; messages without such a subject pass. */
import { definePlugin } from 'mailfilter/plugin';

const kept: unknown[] = [];

/** A timer of no call: what it does cannot be traced to a message. */
let isDoomed = false;
setInterval(() => {
  if (isDoomed) process.exit(4);
}, 5);

/** Each way to fail; the same names stand in the test's table. */
const troubles: Record<string, (input: { message: { headers: unknown } }) => unknown> = {
  throw: () => {
    throw new Error('thrown on purpose');
  },
  'reject-promise': () => Promise.reject(new Error('rejected on purpose')),
  'never-answer': () => new Promise(() => {}),
  'throw-in-timer': () =>
    new Promise(() => {
      setTimeout(() => {
        throw new Error('thrown in a timer');
      }, 5);
    }),
  'stray-rejection': () =>
    new Promise(() => {
      void Promise.reject(new Error('nobody handles this'));
    }),
  loop: () => {
    for (;;);
  },
  'loop-later': async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (;;);
  },
  'loop-of-promises': async () => {
    for (;;) await null;
  },
  'eat-memory': () => {
    for (;;) kept.push(new Array(1e5).fill(Math.random()));
  },
  'eat-buffers': () => {
    for (;;) kept.push(Buffer.alloc(1e6, 1));
  },
  'eat-buffers-slowly': async () => {
    for (;;) {
      kept.push(Buffer.alloc(1e7, 1));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
  exit: () => process.exit(3),
  'exit-later': async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.exit(0);
  },
  'exit-unseen': () => {
    isDoomed = true;
    return new Promise(() => {});
  },
  garbage: () => {
    console.log('garbage on standard output');
    process.stdout.write('\u0000\u0001more');
    process.stderr.write(Buffer.from([0xff, 0xfe]));
    return undefined;
  },
  'shape-number': () => 42,
  'shape-key': () => ({ verdcit: { action: 'accept' } }),
  'shape-code': () => ({ verdict: { action: 'reject', code: 250, enhanced: '2.0.0', text: 'fine' } }),
  'shape-class': () => ({ verdict: { action: 'reject', code: 450, enhanced: '4.0.0', text: 'later' } }),
  'shape-header': () => ({ edits: [{ type: 'addHeader', name: 'X-A', value: 'a\r\nX-B: b' }] }),
  'shape-recipient': () => ({ recipients: { r99: { verdict: { action: 'accept' } } } }),
  'shape-function': () => ({ result: { call: () => 1 } }),
  'mutate-input': (input) => {
    (input as { connection?: { remoteIp: string } }).connection!.remoteIp = '203.0.113.9';
    return undefined;
  },
  'mutate-message': (input) => {
    input.message.headers = {};
    return undefined;
  },
};

export default definePlugin({
  name: 'trouble',
  hooks: {
    message: (input) => troubles[input.message.headers.get('Subject') ?? '']?.(input) as undefined,
  },
});
