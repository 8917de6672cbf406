/** rspamd as a milter of our own server: clean mail passes, GTUBE is refused in rspamd's own words. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePorts } from '../kit/free-port.ts';
import { accepts, idsOf } from '../kit/postfix.ts';
import { requirePeer, requireProgram } from '../kit/require.ts';
import { startServer, until } from '../kit/server.ts';
import { swaks } from '../kit/swaks.ts';

/** What asks the network, or learns, is left out: one verdict for one message. */
const disabled =
  'rbl surbl dmarc spf dkim dkim_signing arc fuzzy_check asn mid mx_check whitelist phishing greylist ratelimit history_redis neural reputation replies url_redirector hfilter once_received antivirus external_services bayes_expiry maps_stats metric_exporter';

/** Its proxy worker scans by itself. Answers `127.0.0.1:port`. */
async function startRspamd(t: TestContext): Promise<string | undefined> {
  const program = requireProgram(t, 'rspamd');
  if (!program || !requirePeer(t, 'root, to start rspamd', process.getuid?.() === 0)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'mailfilter-rspamd-'));
  chmodSync(directory, 0o755);
  const { uid, gid } = idsOf('_rspamd');
  for (const name of ['run', 'db', 'log', 'etc']) {
    mkdirSync(join(directory, name));
    chownSync(join(directory, name), uid, gid);
  }
  const [proxy, normal] = await freePorts(2);
  const local = join(directory, 'etc/local.d');
  mkdirSync(local);
  const files: Record<string, string> = {
    ...Object.fromEntries(disabled.split(' ').map((name) => [`${name}.conf`, 'enabled = false;\n'])),
    'options.inc':
      'dns { timeout = 0.05s; retransmits = 1; nameserver = ["127.0.0.1"]; }\nlocal_addrs = [];\n',
    'logging.inc': `type = "file"; filename = "${directory}/log/rspamd.log"; level = "warning";\n`,
    'worker-normal.inc': `bind_socket = "127.0.0.1:${normal}"; count = 1;\n`,
    'worker-controller.inc': 'enabled = false;\n',
    'worker-fuzzy.inc': 'enabled = false;\n',
    'classifier-bayes.conf': 'enabled = false;\n',
    'statistic.conf': 'enabled = false;\n',
    'worker-proxy.inc': `bind_socket = "127.0.0.1:${proxy}"; milter = yes; timeout = 60s; count = 1;\nupstream "local" { default = yes; self_scan = yes; }\n`,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(local, name), text);
  const places = { LOCAL_CONFDIR: 'etc', RUNDIR: 'run', DBDIR: 'db', LOGDIR: 'log' };
  const variables = Object.entries(places).map(
    ([name, folder]) => `--var=${name}=${join(directory, folder)}`,
  );
  const args = ['-f', '-u', '_rspamd', '-g', '_rspamd', '-c', '/etc/rspamd/rspamd.conf', ...variables];
  const child = spawn(program, args, { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  t.after(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await until('rspamd to listen', () => accepts(proxy!), 40_000);
  return `127.0.0.1:${proxy}`;
}

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X';

test('rspamd through plugins/milter', async (t) => {
  const program = requireProgram(t, 'swaks');
  const address = program && (await startRspamd(t));
  if (!address) return;
  const server = await startServer({ inbound: [{ plugin: 'milter', options: { address } }] });
  t.after(() => server.stop());
  const send = (body: string) => {
    const message = `From: <ann@example.org>\nTo: <alice@example.test>\nSubject: x\nMessage-ID: <1@example.org>\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\n${body}\n`;
    return swaks(program, { port: server.ports.smtp!, to: 'alice@example.test', message });
  };
  assert.match((await send('hello')).reply, /^250 /);
  await until('the clean mail', () => server.messages('alice').length === 1);
  assert.match(readFileSync(server.messages('alice')[0]!, 'latin1'), /^hello$/m);
  assert.match((await send(gtube)).reply, /^5\d\d 5\.7\.1 .*[Gg]tube/);
  assert.equal(server.messages('alice').length, 1);
});
