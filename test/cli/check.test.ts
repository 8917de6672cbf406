/** `mailfilter check`: each thing that would go wrong later is said now, with its place, and fails the command. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { selfSigned } from '../../src/cli/certificate.ts';
import { findSystemUser } from '../../src/privileges.ts';
import { runCommand } from '../kit/command.ts';
import { requirePeer } from '../kit/require.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailfilter-check-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const day = 86_400_000;
function writePair(name: string, names: string[], days: number, now = Date.now()): void {
  const { certificate, key } = selfSigned({ names, days, now });
  writeFileSync(join(folder, `${name}.pem`), certificate);
  writeFileSync(join(folder, `${name}.key`), key, { mode: 0o600 });
}
writePair('good', ['mx.example.org'], 800);
writePair('other', ['mx.example.org'], 800);
writePair('old', ['mx.example.org'], 10, Date.now() - 20 * day);
writePair('soon', ['other.example.org'], 5);
writeFileSync(join(folder, 'open.key'), selfSigned({ names: ['x'], days: 1, now: 0 }).key);
chmodSync(join(folder, 'open.key'), 0o644);
writeFileSync(join(folder, 'users.json'), '{ "version": 1, "users": {} }', { mode: 0o600 });
writeFileSync(
  join(folder, 'postmaster.json'),
  '{ "version": 1, "users": { "ann@example.org": { "password": "", "aliases": ["Postmaster@example.org"] } } }',
  { mode: 0o600 },
);
writeFileSync(join(folder, 'broken-users.json'), '{ "version": 2 }');
const plugin = (body: string): string =>
  `import { definePlugin } from 'mailfilter/plugin';\nexport default definePlugin({ ${body} });\n`;
writeFileSync(join(folder, 'throws.ts'), 'throw new Error("broken on purpose");\n');
writeFileSync(
  join(folder, 'hungry.ts'),
  plugin(`name: 'hungry', needs: ['refuseRecipientAfterData'], hooks: { message() {} }`),
);
writeFileSync(join(folder, 'authentic.ts'), plugin(`name: 'authentic', hooks: { auth() {}, message() {} }`));

interface Finding {
  readonly severity: string;
  readonly area: string;
  readonly where: string;
  readonly what: string;
}

let count = 0;
async function check(settings: object): Promise<{ code: number | null; findings: Finding[] }> {
  count += 1;
  const file = join(folder, `${count}.json`);
  const base = { hostname: 'mx.example.org', dataDirectory: 'data', domains: ['example.org'] };
  writeFileSync(file, JSON.stringify({ ...base, ...settings }, null, 1));
  const { code, stdout, stderr } = await runCommand(['check', '-c', file, '--json']);
  assert.notEqual(stdout, '', stderr);
  return { code, findings: JSON.parse(stdout) };
}

const toMailboxes = [{ to: '@example.org', deliver: 'mailbox' }];
const smtp = { protocol: 'smtp', address: '127.0.0.1:0' };
const pair = (name: string) => ({ certFile: `${name}.pem`, keyFile: `${name}.key` });

test('a config without fault', async () => {
  const { code, findings } = await check({
    listeners: { mx: { ...smtp, pipeline: 'inbound' } },
    pipelines: { inbound: ['strip-origin'] },
    users: { file: 'postmaster.json' },
    routes: toMailboxes,
    tls: pair('good'),
  });
  assert.deepEqual(
    findings.filter(({ severity }) => severity === 'error' || severity === 'warning'),
    [],
  );
  assert.equal(code, 0);
  const areas = new Set(findings.map(({ area }) => area));
  assert.deepEqual([...areas], ['config', 'tls', 'users', 'data', 'socket', 'plugin']);
});

const cases: readonly {
  name: string;
  settings: object;
  severity: string;
  area: string;
  where: RegExp;
  what: RegExp;
}[] = [
  {
    name: 'a mistake in the config',
    settings: { domians: [] },
    severity: 'error',
    area: 'config',
    where: /:7:2$/,
    what: /did you mean "domains"/,
  },
  {
    name: 'a key of another certificate',
    settings: { tls: { certFile: 'good.pem', keyFile: 'other.key' } },
    severity: 'error',
    area: 'tls',
    where: /other\.key/,
    what: /is not the key of/,
  },
  {
    name: 'a certificate that is over',
    settings: { tls: pair('old') },
    severity: 'error',
    area: 'tls',
    where: /old\.pem/,
    what: /^expired on/,
  },
  {
    name: 'a certificate that is soon over',
    settings: { tls: pair('soon') },
    severity: 'warning',
    area: 'tls',
    where: /soon\.pem/,
    what: /4 days/,
  },
  {
    name: 'a certificate of another host',
    settings: { tls: pair('soon') },
    severity: 'warning',
    area: 'tls',
    where: /soon\.pem/,
    what: /does not name the host/,
  },
  {
    name: 'a file that is no certificate',
    settings: { tls: { certFile: 'good.key', keyFile: 'good.key' } },
    severity: 'error',
    area: 'tls',
    where: /good\.key/,
    what: /no certificate in PEM form/,
  },
  {
    name: 'a key that all can read',
    settings: { tls: { certFile: 'good.pem', keyFile: 'open.key' } },
    severity: 'warning',
    area: 'tls',
    where: /open\.key/,
    what: /can be read by others/,
  },
  {
    name: 'a users file that is broken',
    settings: { users: { file: 'broken-users.json' } },
    severity: 'error',
    area: 'users',
    where: /broken-users/,
    what: /./,
  },
  {
    name: 'a users file that is missing',
    settings: { users: { file: 'gone.json' } },
    severity: 'error',
    area: 'users',
    where: /gone/,
    what: /does not exist/,
  },
  {
    name: 'a domain that no route delivers',
    settings: { users: { file: 'users.json' }, routes: [{ to: '*', reject: '550 5.7.1 no mail here' }] },
    severity: 'warning',
    area: 'domain',
    where: /json$/,
    what: /no route takes mail for example\.org/,
  },
  {
    name: 'a postmaster without mailbox',
    settings: { users: { file: 'users.json' }, routes: toMailboxes },
    severity: 'warning',
    area: 'domain',
    where: /json$/,
    what: /^postmaster@example\.org reaches nobody.*users\.json$/,
  },
  {
    name: 'scripts that nothing runs',
    settings: {
      users: { file: 'postmaster.json' },
      routes: toMailboxes,
      pipelines: { inbound: [], outbound: ['strip-origin'] },
      listeners: {
        mx: smtp,
        rules: { protocol: 'managesieve', address: '127.0.0.1:0', tls: 'none', authWithoutTls: true },
      },
    },
    severity: 'warning',
    area: 'listener',
    where: /^rules$/,
    what: /that nothing runs.*"inbound"/,
  },
  {
    name: 'a data directory that is a file',
    settings: { dataDirectory: 'users.json', listeners: { mx: smtp } },
    severity: 'error',
    area: 'data',
    where: /users\.json/,
    what: /no folder/,
  },
  {
    name: 'a plugin that throws while it loads',
    settings: { pipelines: { p: ['./throws.ts'] } },
    severity: 'error',
    area: 'plugin',
    where: /:9:4$/,
    what: /broken on purpose/,
  },
  {
    name: 'options that the plugin does not know',
    settings: { pipelines: { p: [{ plugin: 'strip-origin', options: { recieved: 'keep' } }] } },
    severity: 'error',
    area: 'plugin',
    where: /\.json:\d+:\d+$/,
    what: /unknown option "recieved"/,
  },
  {
    name: 'a power that the door lacks',
    settings: { listeners: { mx: { ...smtp, pipeline: 'p' } }, pipelines: { p: ['./hungry.ts'] } },
    severity: 'error',
    area: 'plugin',
    where: /:16:4$/,
    what: /needs refuseRecipientAfterData, which the door smtp lacks/,
  },
  {
    name: 'a hook that the door never raises',
    settings: {
      listeners: { l: { protocol: 'lmtp', address: '127.0.0.1:0', pipeline: 'p' } },
      pipelines: { p: ['./authentic.ts'] },
    },
    severity: 'note',
    area: 'plugin',
    where: /:16:4$/,
    what: /the door lmtp never raises auth/,
  },
  {
    name: 'a content filter that others than this machine reach',
    settings: {
      listeners: { f: { protocol: 'content-filter', address: '192.0.2.7:0', next: '127.0.0.1:10026' } },
    },
    severity: 'warning',
    area: 'socket',
    where: /^f 192\.0\.2\.7:0$/,
    what: /an open relay; listen on loopback/,
  },
  {
    name: 'an LMTP door that others reach',
    settings: { listeners: { l: { protocol: 'lmtp', address: '192.0.2.7:0' } } },
    severity: 'warning',
    area: 'socket',
    where: /^l /,
    what: /past the checks of SMTP/,
  },
  {
    name: 'a password in a config that everybody can read',
    settings: {
      routes: [
        { to: '@example.net', relay: 'smtp://ann%40example.org@smtp.example.net:587', password: 'secret' },
      ],
    },
    severity: 'warning',
    area: 'config',
    where: /\.json$/,
    what: /can be read by others than its owner/,
  },
  {
    name: 'no listeners',
    settings: {},
    severity: 'note',
    area: 'config',
    where: /json$/,
    what: /no listeners/,
  },
];
for (const { name, settings, severity, area, where, what } of cases) {
  test(`finds ${name}`, async () => {
    const { code, findings } = await check(settings);
    const found = findings.find(
      (each) => each.area === area && each.severity === severity && what.test(each.what),
    );
    assert.ok(found, JSON.stringify(findings, null, 1));
    assert.match(found.where, where);
    assert.equal(code, findings.some((each) => each.severity === 'error') ? 1 : 0);
    if (severity === 'error') assert.equal(code, 1);
  });
}

test('finds a port that is taken, and names listener and port', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { code, findings } = await check({ listeners: { mx: { ...smtp, address: `127.0.0.1:${port}` } } });
  const found = findings.find(({ area }) => area === 'socket');
  assert.equal(found?.severity, 'error');
  assert.equal(found?.where, `mx 127.0.0.1:${port}`);
  assert.match(found?.what ?? '', /listeners\.mx\.address|in use/);
  assert.equal(code, 1);
});

test('finds files that the user of the server cannot read or write', async (t) => {
  if (!requirePeer(t, 'root', process.getuid?.() === 0)) return;
  const house = mkdtempSync(join(tmpdir(), 'mailfilter-access-'));
  t.after(() => rmSync(house, { recursive: true, force: true }));
  chmodSync(house, 0o755);
  const copy = join(house, 'users.json');
  copyFileSync(join(folder, 'postmaster.json'), copy);
  const settings = {
    user: 'nobody',
    dataDirectory: join(house, 'data'),
    users: { file: copy },
    mailbox: { path: join(house, 'mail/{domain}/{user}') },
    routes: toMailboxes,
  };
  const denied = async () => {
    const { findings } = await check(settings);
    return findings.filter(({ area }) => area === 'user').map(({ where, what }) => `${where} ${what}`);
  };
  const closed = await denied();
  assert.ok(
    closed.some((each) => each.startsWith(`${copy} cannot be read by the user "nobody"`)),
    closed.join('\n'),
  );
  assert.ok(
    closed.some((each) => each.startsWith(`${house}/mail/ cannot be written`)),
    closed.join('\n'),
  );
  const { uid, gid } = findSystemUser('nobody')!;
  for (const path of [house, copy]) chownSync(path, uid, gid);
  // The config itself lies in a folder that is closed to all but its owner.
  assert.deepEqual(
    (await denied()).map((each) => each.replace(/^\S+ /, '').replace(/\S+$/, '')),
    [`lies in ${folder}, which is closed to the user "nobody" that the server becomes: chown nobody `],
  );
});

test('the table for eyes ends with a count', async () => {
  const file = join(folder, 'table.json');
  const users = join(folder, 'open-users.json');
  writeFileSync(users, '{ "version": 1, "users": {} }', { mode: 0o644 });
  writeFileSync(
    file,
    JSON.stringify({ hostname: 'mx.example.org', dataDirectory: 'data', users: { file: users } }),
  );
  const { stdout } = await runCommand(['check', '-c', file]);
  assert.match(stdout, /^ +area +where +what\n/);
  assert.match(stdout, /0 errors, 1 warning\n$/);
});
