/** Fails in the way and in the hook that the sender names: `loop@message.hostile.example`; other mail passes. */
import { definePlugin, type TransactionInput } from 'mailfilter/plugin';

const kept: unknown[] = [];

const troubles: Readonly<Record<string, () => unknown>> = {
  throw: () => {
    throw new Error('thrown on purpose');
  },
  rejection: () => Promise.reject(new Error('rejected on purpose')),
  silence: () => new Promise(() => {}),
  loop: () => {
    for (;;);
  },
  promises: async () => {
    for (;;) await null;
  },
  heap: () => {
    for (;;) kept.push(new Array(1e5).fill(Math.random()));
  },
  buffers: () => {
    for (;;) kept.push(Buffer.alloc(2 ** 24, 1));
  },
  exit: () => process.exit(3),
  shape: () => ({ verdict: { action: 'accept', mood: 'evil' }, unasked: true }),
  garbage: () => {
    process.stdout.write('\u0000\u0001{"event":"ready"\n');
    process.stderr.write(Buffer.from([0xff, 0xfe, 0x0a]));
    console.log('\u001b[2J%s', { level: 'fatal' });
    return undefined;
  },
};

function misbehave(hook: string, { envelope }: TransactionInput): undefined {
  const [trouble, domain] = envelope.sender.split('@');
  if (domain !== `${hook}.hostile.example`) return undefined;
  return troubles[trouble ?? '']?.() as undefined;
}

export default definePlugin({
  name: 'hostile',
  hooks: {
    mailFrom: (input) => misbehave('mailfrom', input),
    rcptTo: (input) => misbehave('rcptto', input),
    data: (input) => misbehave('data', input),
    headers: (input) => misbehave('headers', input),
    message: (input) => misbehave('message', input),
    deliver: (input) => misbehave('deliver', input),
  },
});
