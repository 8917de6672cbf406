/** loadConfig: defaults, paths, secrets, and every mistake with its place. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '../../../core/config/findings.ts';
import { loadConfig, parseConfig } from '../../../core/config/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'mailfilter.json');
for (const name of ['cert.pem', 'key.pem', 'mine.ts']) writeFileSync(join(folder, name), 'x');
writeFileSync(join(folder, 'secret.txt'), 'from a file\n');
mkdirSync(join(folder, 'sub'));

const least = { hostname: 'mx.example.org', dataDirectory: 'data' };
const users = { file: 'users.json' };
const tls = { certFile: 'cert.pem', keyFile: 'key.pem' };
const mx = { protocol: 'smtp', address: '127.0.0.1:25' };

function load(settings: object, environment: NodeJS.ProcessEnv = {}) {
  return parseConfig(JSON.stringify(settings, null, 1), file, { environment });
}

function problemsOf(settings: object | string, environment: NodeJS.ProcessEnv = {}) {
  try {
    const text = typeof settings === 'string' ? settings : JSON.stringify(settings, null, 1);
    parseConfig(text, file, { environment });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

test('the least config gets every default', () => {
  const config = load(least);
  assert.equal(config.dataDirectory, join(folder, 'data'));
  assert.deepEqual(config.mailbox, {
    format: 'maildir',
    path: join(folder, 'data/mail/{domain}/{user}'),
    subaddressSeparator: '+',
    quotaBytes: 0,
    sieve: {
      directory: join(folder, 'data/sieve/{domain}/{user}'),
      active: join(folder, 'data/sieve/{domain}/{user}/.dovecot.sieve'),
      imap: false,
      scriptsMax: 100,
      storageBytesMax: 4 * 1024 * 1024,
    },
    procmail: { rcfile: join(folder, 'data/procmail/{domain}/{user}/.procmailrc') },
  });
  assert.deepEqual(config.trustedNetworks, []);
  assert.deepEqual(config.xclientFrom, []);
  assert.deepEqual(config.proxyFrom, []);
  assert.equal(config.durability, 'journal');
  assert.equal(config.bareNewlines, 'normalise');
  assert.deepEqual(config.queue.retrySeconds.slice(0, 4), [60, 300, 900, 3600]);
  assert.equal(config.queue.expireSeconds, 5 * 86_400);
  assert.deepEqual(config.trace, { retentionDays: 7, retentionBytes: 1024 ** 3 });
  assert.ok(config.processes.threads >= 1 && config.processes.threads <= 8);
  assert.equal(config.processes.threadMemoryMiB, 256);
  assert.equal(config.limits.messageBytesMax, 50 * 1024 * 1024);
  assert.equal(config.sendPipeline, 'outbound');
  assert.deepEqual(config.routes.at(-1)?.action, {
    kind: 'reject',
    code: 550,
    enhanced: '5.7.1',
    text: 'relaying denied',
  });
});

test('two configs do not share the objects that defaults were made of', () => {
  const first = load(least);
  (first.limits as { recipientsMax: number }).recipientsMax = 1;
  assert.equal(load(least).limits.recipientsMax, 1000);
});

test('domains are compared in one form, and routes are made for them', () => {
  const config = load({ ...least, domains: ['Bücher.Example', 'example.org.'] });
  assert.deepEqual(config.domains, ['xn--bcher-kva.example', 'example.org']);
  assert.deepEqual(
    config.routes.map(({ to }) => to),
    ['@xn--bcher-kva.example', '@example.org', '*'],
  );
});

test('a written route keeps its local part and normalises its domain', () => {
  const config = load({ ...least, users, routes: [{ to: 'Info@BÜCHER.example', deliver: 'mailbox' }] });
  assert.deepEqual(config.routes, [
    { to: 'Info@xn--bcher-kva.example', from: 'any', action: { kind: 'mailbox' } },
  ]);
});

const listenerDefaults: readonly { name: string; listener: object; withTls: boolean; want: object }[] = [
  { name: 'smtp with a certificate', listener: mx, withTls: true, want: { tls: 'starttls', auth: false } },
  { name: 'smtp without', listener: mx, withTls: false, want: { tls: 'none', auth: false } },
  {
    name: 'submission',
    listener: { protocol: 'submission', address: '127.0.0.1:587' },
    withTls: true,
    want: { tls: 'starttls', auth: true, authWithoutTls: false },
  },
  {
    name: 'submission on 465',
    listener: { protocol: 'submission', address: '[::1]:465' },
    withTls: true,
    want: { tls: 'implicit', address: { kind: 'tcp', host: '::1', port: 465 } },
  },
  {
    name: 'lmtp on a unix socket',
    listener: { protocol: 'lmtp', address: 'unix:run/lmtp.sock', socketMode: '0660' },
    withTls: true,
    want: { tls: 'none', address: { kind: 'unix', path: join(folder, 'run/lmtp.sock'), mode: 0o660 } },
  },
];
for (const { name, listener, withTls, want } of listenerDefaults) {
  test(`listener defaults: ${name}`, () => {
    const config = load({ ...least, users, ...(withTls ? { tls } : {}), listeners: { it: listener } });
    assert.partialDeepStrictEqual(config.listeners[0], { name: 'it', ...want });
  });
}

test('a pipeline entry is a name, a path or an object', () => {
  const config = load({
    ...least,
    pipelines: {
      inbound: [
        'header-rules',
        './mine.ts',
        { plugin: './mine.ts', options: { a: 1 }, onFailure: 'continue' },
      ],
    },
  });
  const path = join(folder, 'mine.ts');
  const entry = { options: {}, onFailure: 'tempfail', timeoutSeconds: 30, shadow: false };
  assert.deepEqual(config.pipelines.inbound, [
    { ...entry, plugin: 'header-rules' },
    { ...entry, plugin: path },
    { ...entry, plugin: path, options: { a: 1 }, onFailure: 'continue' },
  ]);
});

test('secrets come from the environment and from files', () => {
  const options = { password: { env: 'SECRET' }, list: [{ key: { file: 'secret.txt' } }], file: 'stays' };
  const config = load(
    { ...least, pipelines: { p: [{ plugin: './mine.ts', options }] } },
    { SECRET: 'from the environment' },
  );
  assert.deepEqual(config.pipelines.p?.[0]?.options, {
    password: 'from the environment',
    list: [{ key: 'from a file' }],
    file: 'stays',
  });
});

const withListener = (listener: object, more: object = {}) => ({
  ...least,
  ...more,
  listeners: { it: listener },
});
const withRoutes = (...routes: object[]) => ({ ...least, users, routes });

const mistakes: readonly {
  name: string;
  input: object | string;
  at: string;
  pointer: string;
  want: RegExp;
}[] = [
  {
    name: 'a misspelt key',
    input: { ...least, domians: [] },
    at: '4:2',
    pointer: '/domians',
    want: /did you mean "domains"/,
  },
  {
    name: 'a misspelt key of a listener',
    input: withListener({ ...mx, adress: 'x' }),
    at: '8:4',
    pointer: '/listeners/it/adress',
    want: /unknown key "adress".*did you mean "address"/,
  },
  {
    name: 'a missing key',
    input: { hostname: 'mx.example.org' },
    at: '1:1',
    pointer: '',
    want: /the key "dataDirectory"/,
  },
  {
    name: 'a misspelt choice',
    input: { ...least, durability: 'jurnal' },
    at: '4:16',
    pointer: '/durability',
    want: /"jurnal", expected one of journal, file; did you mean "journal"/,
  },
  {
    name: 'a wrong type',
    input: { ...least, domains: 'example.org' },
    at: '4:13',
    pointer: '/domains',
    want: /"example.org", expected a list/,
  },
  {
    name: 'a number out of range',
    input: { ...least, processes: { threads: 0 } },
    at: '5:14',
    pointer: '/processes/threads',
    want: /found 0, expected at least 1/,
  },
  {
    name: 'a listener of a bad name',
    input: { ...least, listeners: { 'a b': mx } },
    at: '5:3',
    pointer: '/listeners/a b',
    want: /a name of letters/,
  },
  {
    name: 'a list as the whole config',
    input: '[]',
    at: '1:1',
    pointer: '',
    want: /found an empty list, expected an object/,
  },
  {
    name: 'a hostname that is none',
    input: { ...least, hostname: 'mx example' },
    at: '2:14',
    pointer: '/hostname',
    want: /a domain name/,
  },
  {
    name: 'an address as hostname',
    input: { ...least, hostname: '192.0.2.1' },
    at: '2:14',
    pointer: '/hostname',
    want: /a domain name/,
  },
  {
    name: 'a domain twice',
    input: { ...least, domains: ['bücher.example', 'xn--bcher-kva.example'] },
    at: '6:3',
    pointer: '/domains/1',
    want: /each domain once/,
  },
  {
    name: 'an address without port',
    input: withListener({ ...mx, address: '127.0.0.1' }),
    at: '7:15',
    pointer: '/listeners/it/address',
    want: /host:port, \[IPv6\]:port or unix:/,
  },
  {
    name: 'a port too high',
    input: withListener({ ...mx, address: '127.0.0.1:65536' }),
    at: '7:15',
    pointer: '/listeners/it/address',
    want: /host:port/,
  },
  {
    name: 'a protocol that is not spoken',
    input: withListener({ protocol: 'http', address: '127.0.0.1:8080', auth: false }),
    at: '6:16',
    pointer: '/listeners/it/protocol',
    want: /one of smtp, submission, .*managesieve$/,
  },
  {
    name: 'a filter without a next server',
    input: withListener({ protocol: 'content-filter', address: '127.0.0.1:0' }),
    at: '5:9',
    pointer: '/listeners/it',
    want: /the key "next"/,
  },
  {
    name: 'a next server behind a door that keeps its mail',
    input: withListener({ ...mx, next: '127.0.0.1:1' }),
    at: '8:12',
    pointer: '/listeners/it/next',
    want: /no such key for this protocol/,
  },
  {
    name: 'a next server that is no address',
    input: withListener({ protocol: 'proxy-filter', address: '127.0.0.1:0', next: 'lmtp:here' }),
    at: '8:12',
    pointer: '/listeners/it/next',
    want: /with lmtp: before it for LMTP/,
  },
  {
    name: 'an unknown pipeline',
    input: withListener({ ...mx, pipeline: 'inbond' }, { pipelines: { inbound: [] } }),
    at: '11:16',
    pointer: '/listeners/it/pipeline',
    want: /did you mean "inbound"/,
  },
  {
    name: 'an unknown sendPipeline',
    input: { ...least, sendPipeline: 'x' },
    at: '4:18',
    pointer: '/sendPipeline',
    want: /there is none/,
  },
  {
    name: 'TLS without a certificate',
    input: withListener({ ...mx, tls: 'starttls' }),
    at: '8:11',
    pointer: '/listeners/it/tls',
    want: /the section "tls"/,
  },
  {
    name: 'a certificate that is not there',
    input: withListener(mx, { tls: { ...tls, certFile: 'gone.pem' } }),
    at: '5:15',
    pointer: '/tls/certFile',
    want: /gone\.pem, expected a file that exists/,
  },
  {
    name: 'AUTH without users',
    input: withListener({ protocol: 'submission', address: '127.0.0.1:587', authWithoutTls: true }),
    at: '5:9',
    pointer: '/listeners/it',
    want: /the section "users"/,
  },
  {
    name: 'passwords in the clear',
    input: withListener({ protocol: 'submission', address: '127.0.0.1:587' }, { users }),
    at: '8:9',
    pointer: '/listeners/it',
    want: /AUTH on a listener without TLS/,
  },
  {
    name: 'passwords in the clear for all the world',
    input: withListener({ protocol: 'submission', address: '0.0.0.0:587', authWithoutTls: true }, { users }),
    at: '11:22',
    pointer: '/listeners/it/authWithoutTls',
    want: /loopback/,
  },
  {
    name: 'two listeners on one address',
    input: { ...least, listeners: { a: mx, b: { ...mx, address: '0.0.0.0:25' } } },
    at: '11:15',
    pointer: '/listeners/b/address',
    want: /the address that "a" listens on/,
  },
  {
    name: 'a plugin that is not there',
    input: { ...least, pipelines: { p: ['heeder-rules'] } },
    at: '6:4',
    pointer: '/pipelines/p/0',
    want: /did you mean "header-rules"/,
  },
  {
    name: 'a plugin file that is not there',
    input: { ...least, pipelines: { p: [{ plugin: './gone.ts' }] } },
    at: '7:15',
    pointer: '/pipelines/p/0/plugin',
    want: /gone\.ts, expected a plugin file that exists/,
  },
  {
    name: 'a secret that is not set',
    input: { ...least, pipelines: { p: [{ plugin: './mine.ts', options: { key: { env: 'GONE' } } }] } },
    at: '10:14',
    pointer: '/pipelines/p/0/options/key/env',
    want: /GONE, which is not set/,
  },
  {
    name: 'a secret file that is not there',
    input: { ...least, pipelines: { p: [{ plugin: './mine.ts', options: { key: { file: 'gone' } } }] } },
    at: '10:15',
    pointer: '/pipelines/p/0/options/key/file',
    want: /ENOENT/,
  },
  {
    name: 'a relay to no host',
    input: withRoutes({ to: '*', from: 'authenticated', relay: 'smtp://a b' }),
    at: '11:13',
    pointer: '/routes/0/relay',
    want: /expected "mx", host/,
  },
  {
    name: 'a relay with a user and no password',
    input: withRoutes({ to: '*', from: 'authenticated', relay: 'smtp://ann@host.test' }),
    at: '11:13',
    pointer: '/routes/0/relay',
    want: /the key "password"/,
  },
  {
    name: 'a route that makes an open relay',
    input: withRoutes({ to: '*', relay: 'mx' }),
    at: '8:3',
    pointer: '/routes/0',
    want: /for anybody to everybody/,
  },
  {
    name: 'a program by name',
    input: withRoutes({ to: '@example.org', pipe: ['procmail'] }),
    at: '11:5',
    pointer: '/routes/0/pipe/0',
    want: /an absolute path/,
  },
  {
    name: 'a route with two actions',
    input: withRoutes({ to: '*', deliver: 'mailbox', reject: '550 5.7.1 no' }),
    at: '8:3',
    pointer: '/routes/0',
    want: /deliver and reject, expected exactly one/,
  },
  {
    name: 'a route with no action',
    input: withRoutes({ to: '*' }),
    at: '8:3',
    pointer: '/routes/0',
    want: /none of them, expected exactly one/,
  },
  {
    name: 'a reply of two classes',
    input: withRoutes({ to: '*', reject: '550 4.7.1 no' }),
    at: '10:14',
    pointer: '/routes/0/reject',
    want: /both numbers of one class/,
  },
  {
    name: 'a route that is out of reach',
    input: withRoutes(
      { to: '@.example.org', deliver: 'mailbox' },
      { to: 'a@mx.example.org', reject: '550 5.7.1 no' },
    ),
    at: '12:3',
    pointer: '/routes/1',
    want: /leaves no mail for/,
  },
  {
    name: 'a pattern that is none',
    input: withRoutes({ to: 'example.org', deliver: 'mailbox' }),
    at: '9:10',
    pointer: '/routes/0/to',
    want: /@domain/,
  },
  {
    name: 'one mailbox for all',
    input: { ...least, mailbox: { path: 'mail/all' } },
    at: '5:11',
    pointer: '/mailbox/path',
    want: /\{user\} or \{address\}/,
  },
  {
    name: 'one mailbox for two domains',
    input: { ...least, domains: ['a.example', 'b.example'], mailbox: { path: 'mail/{user}' } },
    at: '9:11',
    pointer: '/mailbox/path',
    want: /\{domain\} or \{address\}/,
  },
  {
    name: 'an unknown placeholder',
    input: { ...least, mailbox: { path: 'mail/{user}/{domian}' } },
    at: '5:11',
    pointer: '/mailbox/path',
    want: /found \{domian\}/,
  },
  {
    name: 'a network that is none',
    input: { ...least, trustedNetworks: ['10.0.0.0/33'] },
    at: '5:3',
    pointer: '/trustedNetworks/0',
    want: /192\.0\.2\.0\/24/,
  },
  {
    name: 'a name server by name',
    input: { ...least, dns: { servers: ['ns.example'] } },
    at: '6:4',
    pointer: '/dns/servers/0',
    want: /an IP address/,
  },
];
for (const { name, input, at, pointer, want } of mistakes) {
  test(`refuses ${name}`, () => {
    const problems = problemsOf(input);
    const problem = problems.find((each) => each.pointer === pointer);
    assert.ok(problem, `no problem at ${pointer}: ${JSON.stringify(problems, null, 1)}`);
    assert.equal(`${problem.line}:${problem.column}`, at);
    assert.equal(problems.length, 1, JSON.stringify(problems, null, 1));
    const message = new ConfigError(file, problems).message;
    assert.match(message, want);
    assert.ok(message.includes(`${file}:${at} `));
  });
}

test('all mistakes are told at once, in the order of the file', () => {
  const text = `{ // every line but the first two is wrong
  "hostname": "mx.example.org", "dataDirectory": "data",
  "sendPipeline": "nowhere",
  "listeners": { "a": { "protocol": "smtp", "address": "x" } },
  "routes": [{ "to": "nobody", "reject": "550 5.7.1 no" }],
  "trustedNetworks": ["x"], "unknown": 1
}`;
  assert.deepEqual(
    problemsOf(text).map(({ line, pointer }) => [line, pointer]),
    [
      [3, '/sendPipeline'],
      [4, '/listeners/a/address'],
      [5, '/routes/0/to'],
      [6, '/trustedNetworks/0'],
      [6, '/unknown'],
    ],
  );
});

const reach: readonly { name: string; routes: object[]; reachable: boolean }[] = [
  {
    name: 'a narrower line first',
    routes: [{ to: 'a@x.example' }, { to: '@x.example' }, { to: '*' }],
    reachable: true,
  },
  {
    name: 'authenticated before any',
    routes: [{ to: '*', from: 'authenticated' }, { to: '*' }],
    reachable: true,
  },
  {
    name: 'any before authenticated',
    routes: [{ to: '*' }, { to: '*', from: 'authenticated' }],
    reachable: false,
  },
  {
    name: 'a domain before its subdomain pattern',
    routes: [{ to: '@x.example' }, { to: '@.x.example' }],
    reachable: true,
  },
  {
    name: 'a subdomain pattern before the domain',
    routes: [{ to: '@.x.example' }, { to: '@x.example' }],
    reachable: false,
  },
  {
    name: 'a pattern before another domain of like ending',
    routes: [{ to: '@.x.example' }, { to: '@yx.example' }],
    reachable: true,
  },
  { name: 'the same line twice', routes: [{ to: '@x.example' }, { to: '@X.example' }], reachable: false },
];
for (const { name, routes, reachable } of reach) {
  test(`reach of routes: ${name}`, () => {
    const problems = problemsOf(withRoutes(...routes.map((route) => ({ ...route, reject: '550 5.7.1 no' }))));
    assert.equal(problems.length === 0, reachable, JSON.stringify(problems));
  });
}

test('a file that is not there is an error of its own', () => {
  assert.throws(() => loadConfig(join(folder, 'gone.json')), { code: 'config-unreadable' });
});
