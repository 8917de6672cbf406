/** Which route a recipient gets: patterns, order, and what is denied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteConfig } from '../../core/config/config.ts';
import { parseAddressPattern } from '../../src/router/pattern.ts';
import { createRouter } from '../../src/router/routes.ts';

const mailbox = { kind: 'mailbox' } as const;
const relay = { kind: 'relay', via: 'mx' } as const;
const closed = { kind: 'reject', code: 551, enhanced: '5.7.1', text: 'closed' } as const;
const route = (to: string, action: RouteConfig['action'], from = 'any'): RouteConfig => ({
  to,
  from,
  action,
});

const patterns: { name: string; pattern: string; matches: string[]; not: string[] }[] = [
  {
    name: 'everything, the null path and postmaster included',
    pattern: '*',
    matches: ['a@b.test', '', 'postmaster', '"a@b"@c.test'],
    not: [],
  },
  {
    name: 'one domain',
    pattern: '@example.test',
    matches: ['a@example.test', 'A@EXAMPLE.Test', '"x@other.test"@example.test'],
    not: [
      'a@sub.example.test',
      'a@badexample.test',
      'a@example.test.evil',
      '',
      'example.test',
      '"x@example.test"@other.test',
    ],
  },
  {
    name: 'a domain and all below it',
    pattern: '@.example.test',
    matches: ['a@example.test', 'a@x.example.test', 'a@y.x.EXAMPLE.test'],
    not: ['a@badexample.test', 'a@example.test.evil', 'postmaster'],
  },
  {
    name: 'one address',
    pattern: 'Alice@Example.test',
    matches: ['alice@example.test', 'ALICE@EXAMPLE.TEST', '"alice"@example.test'],
    not: ['alice+x@example.test', 'malice@example.test', 'alice@x.example.test', 'alice'],
  },
  {
    name: 'a domain in either IDN form',
    pattern: '@bücher.test',
    matches: ['a@xn--bcher-kva.test', 'a@BÜCHER.test'],
    not: ['a@bucher.test'],
  },
  {
    name: 'a domain literal',
    pattern: '@[192.0.2.1]',
    matches: ['a@[192.0.2.1]'],
    not: ['a@192.0.2.1', 'a@[192.0.2.11]'],
  },
];

for (const { name, pattern, matches, not } of patterns) {
  test(`pattern: ${name}`, () => {
    const router = createRouter([route(pattern, mailbox)]);
    const kind = (recipient: string) => router({ recipient, sender: '', authenticated: false }).kind;
    for (const address of matches) assert.equal(kind(address), 'mailbox', address);
    for (const address of not) assert.equal(kind(address), 'reject', address);
  });
}

for (const bad of ['', '@', 'example.test', '@.', '@..test', 'a@', '@a b', '*@x.test ', '@a..b']) {
  test(`pattern: ${JSON.stringify(bad)} is refused`, () => {
    assert.throws(() => parseAddressPattern(bad), { code: 'address-pattern', temporary: false });
    assert.throws(() => createRouter([route(bad, mailbox)]), { code: 'address-pattern' });
  });
}

const routes = [
  route('closed@example.test', closed),
  route('@example.test', mailbox, '@.friend.test'),
  route('@lmtp.test', { kind: 'lmtp', to: 'unix:/run/lmtp' }),
  route('*', relay, 'authenticated'),
  route('@example.test', mailbox),
];
const questions: {
  name: string;
  recipient: string;
  sender: string;
  authenticated?: boolean;
  want: string;
}[] = [
  {
    name: 'the first match decides',
    recipient: 'closed@example.test',
    sender: 'a@friend.test',
    want: 'reject 551',
  },
  { name: 'sender pattern', recipient: 'alice@example.test', sender: 'a@x.friend.test', want: 'mailbox' },
  {
    name: 'authenticated before a later line',
    recipient: 'alice@example.test',
    sender: 'a@b.test',
    authenticated: true,
    want: 'relay',
  },
  {
    name: 'a stranger may not relay',
    recipient: 'x@remote.test',
    sender: 'alice@example.test',
    want: 'reject 550',
  },
  {
    name: 'a forged local sender may not relay',
    recipient: 'x@remote.test',
    sender: 'a@friend.test',
    want: 'reject 550',
  },
  { name: 'the null path reaches a mailbox', recipient: 'alice@example.test', sender: '', want: 'mailbox' },
  { name: 'lmtp', recipient: 'a@lmtp.test', sender: '', want: 'lmtp' },
];
for (const { name, recipient, sender, authenticated = false, want } of questions) {
  test(`routes: ${name}`, () => {
    const answer = createRouter(routes)({ recipient, sender, authenticated });
    assert.equal(answer.kind === 'reject' ? `reject ${answer.reply.code}` : answer.kind, want);
  });
}

test('with no routes everything is denied with 550 5.7.1', () => {
  assert.deepEqual(createRouter([])({ recipient: 'a@b.test', sender: '', authenticated: true }), {
    kind: 'reject',
    reply: { code: 550, enhanced: '5.7.1', text: 'relaying denied' },
  });
});

test('a route keeps what its action says', () => {
  const router = createRouter(routes);
  assert.deepEqual(router({ recipient: 'x@y.test', sender: '', authenticated: true }), relay);
});
