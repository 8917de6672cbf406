/** The real rspamd of a test's own: no network, no learning, so that one message has one verdict. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePorts } from './free-port.ts';
import { accepts, idsOf } from './postfix.ts';
import { type ProcessGroup, type RealDaemon, startGroup } from './process-group.ts';
import { requirePeer, requireProgram } from './require.ts';
import { until } from './server.ts';

/** What asks the network, or learns, is left out: one verdict for one message. */
const disabled =
  'rbl surbl dmarc spf dkim dkim_signing arc fuzzy_check asn mid mx_check whitelist phishing greylist ratelimit history_redis neural reputation replies url_redirector hfilter once_received antivirus external_services bayes_expiry maps_stats metric_exporter';

export interface Rspamd extends RealDaemon {
  /** Its proxy, which scans by itself, as a milter: `127.0.0.1:port`. */
  readonly milter: string;
  /** Its normal worker. */
  readonly url: string;
}

/** @param files further files of its local.d, name to text */
export async function startRspamd(
  t: TestContext,
  more: Readonly<Record<string, string>> = {},
): Promise<Rspamd | undefined> {
  const program = requireProgram(t, 'rspamd');
  if (!program || !requirePeer(t, 'root, to start rspamd', process.getuid?.() === 0)) return undefined;
  const rspamd = await launchRspamd(program, more);
  t.after(() => rspamd[Symbol.asyncDispose]());
  return rspamd;
}

/** Until it is disposed of, and its folder with it. */
export async function launchRspamd(
  program: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Rspamd & AsyncDisposable> {
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
    'options.inc': `hs_cache_dir = "${patternCache(uid, gid)}";
dns { timeout = 0.05s; retransmits = 1; nameserver = ["127.0.0.1"]; }
local_addrs = [];
`,
    'logging.inc': `type = "file"; filename = "${directory}/log/rspamd.log"; level = "warning";\n`,
    'worker-normal.inc': `bind_socket = "127.0.0.1:${normal}"; count = 1;\n`,
    'worker-controller.inc': 'enabled = false;\n',
    'worker-fuzzy.inc': 'enabled = false;\n',
    'classifier-bayes.conf': 'enabled = false;\n',
    'statistic.conf': 'enabled = false;\n',
    'worker-proxy.inc': `bind_socket = "127.0.0.1:${proxy}"; milter = yes; timeout = 60s; count = 1;\nupstream "local" { default = yes; self_scan = yes; }\n`,
    ...more,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(local, name), text);
  const places = { LOCAL_CONFDIR: 'etc', RUNDIR: 'run', DBDIR: 'db', LOGDIR: 'log' };
  const variables = Object.entries(places).map(
    ([name, folder]) => `--var=${name}=${join(directory, folder)}`,
  );
  const args = ['-f', '-u', '_rspamd', '-g', '_rspamd', '-c', '/etc/rspamd/rspamd.conf', ...variables];
  let group: ProcessGroup;
  const start = async () => {
    group = startGroup(program, args);
    await until('rspamd to listen', () => accepts(proxy!), 90_000);
    await until('its worker to listen', () => accepts(normal!), 90_000);
  };
  await start();
  const kill = () => group.kill();
  return {
    milter: `127.0.0.1:${proxy}`,
    url: `http://127.0.0.1:${normal}`,
    address: `127.0.0.1:${normal}`,
    port: normal!,
    signal: (name) => group.signal(name),
    kill,
    start,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What rspamd compiles at its first start takes up to a minute; every later start finds it here. */
function patternCache(uid: number, gid: number): string {
  const folder = join(tmpdir(), 'mailfilter-rspamd-patterns');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  chownSync(folder, uid, gid);
  return folder;
}
