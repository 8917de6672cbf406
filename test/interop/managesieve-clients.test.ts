/** ManageSieve as people's programs speak it: sieve-connect, and Net_Sieve, the library of Roundcube's plugin. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { addUser, openUsers } from '../../src/users/file.ts';
import { openSieveDoor, scriptHome } from '../access/managesieve/dialogue.ts';
import { certificate, memoryLog } from '../kit/door.ts';
import { LineClient } from '../kit/line-client.ts';
import { requirePeer, requireProgram } from '../kit/require.ts';

const script = 'require ["fileinto"];\nif header :contains "Subject" "zwölf" {\n  fileinto "INBOX";\n}\n';

/** Runs a program beside the door of this very process; answers its exit code and all it said. */
async function run(
  command: string,
  args: readonly string[],
  input = '',
): Promise<{ code: number | null; said: string }> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 30_000 });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, said };
}

async function openDoor(t: TestContext) {
  const home = scriptHome(t);
  const door = await openSieveDoor(t, home, { listener: { tls: 'starttls', authWithoutTls: false } });
  const folder = mkdtempSync(join(tmpdir(), 'mailfilter-clients-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'filters.siv'), script);
  writeFileSync(join(folder, 'broken.siv'), 'fileinto;');
  return { door, folder };
}

test('sieve-connect uploads, activates, lists, downloads, checks and deletes over TLS', async (t) => {
  const program = requireProgram(t, 'sieve-connect');
  if (program === undefined) return;
  const { door, folder } = await openDoor(t);
  const connect = (...args: string[]) =>
    run(
      program,
      [
        ...[
          '--server',
          '127.0.0.1',
          '--port',
          `${door.port}`,
          '--user',
          'alice@example.test',
          '--passwordfd',
          '0',
        ],
        ...[
          '--authmech',
          'PLAIN',
          '--tlscafile',
          certificate().certFile,
          '--tlshostname',
          'mx.example.test',
          ...args,
        ],
      ],
      'secret\n',
    );
  const succeed = async (...args: string[]) => {
    const { code, said } = await connect(...args);
    assert.equal(code, 0, said);
    return said;
  };
  const local = join(folder, 'filters.siv');
  await succeed('--localsieve', local, '--remotesieve', 'filters', '--upload');
  await succeed('--remotesieve', 'filters', '--activate');
  assert.match(await succeed('--list'), /"filters" ACTIVE/);
  await succeed('--localsieve', join(folder, 'back.siv'), '--remotesieve', 'filters', '--download');
  assert.equal(spawnSync('cmp', [local, join(folder, 'back.siv')]).status, 0);
  await succeed('--localsieve', local, '--checkscript');
  const broken = await connect('--localsieve', join(folder, 'broken.siv'), '--checkscript');
  assert.notEqual(broken.code, 0);
  assert.match(broken.said, /line 1, column/);
  await succeed('--deactivate');
  await succeed('--remotesieve', 'filters', '--delete');
  assert.doesNotMatch(await succeed('--list'), /filters/);
});

test('GNU SASL proves a password by SCRAM, and believes our proof', async (t) => {
  const gsasl = requireProgram(t, 'gsasl');
  if (gsasl === undefined) return;
  const home = scriptHome(t);
  const file = join(home.folder, 'users.json');
  await addUser(file, 'ann@example.test', 'pässword');
  const users = await openUsers({ file, separator: '+', log: memoryLog().log });
  t.after(() => users.close());
  const door = await openSieveDoor(t, home, { users });
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1']) {
    for (const password of ['pässword', 'wrong']) {
      const client = LineClient.toPort(door.port);
      t.after(() => client.destroy());
      while (!(await client.line())?.startsWith('OK'));
      const child: ChildProcessWithoutNullStreams = spawn(gsasl, [
        ...['--client', '--no-cb', '--quiet', '-m', mechanism, '-a', 'ann@example.test', '-p', password],
      ]);
      t.after(() => child.kill());
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const next = async (): Promise<string | undefined> => (await lines.next()).value;
      assert.equal(await next(), mechanism);
      client.send(`AUTHENTICATE "${mechanism}" "${await next()}"\r\n`);
      child.stdin.write(`${(await client.line())?.replaceAll('"', '')}\n`);
      client.send(`"${await next()}"\r\n`);
      const answer = (await client.line()) ?? '';
      if (password === 'wrong') {
        assert.match(answer, /^NO/);
        continue;
      }
      const [, proof] = /^OK \(SASL "(.*)"\)/.exec(answer) ?? [];
      assert.ok(proof, answer);
      child.stdin.write(`${proof}\n`);
      // Nothing more to say; a proof that is not right makes it end with an error instead.
      assert.equal(await next(), '');
      child.kill();
    }
  }
});

test('Net_Sieve, as Roundcube uses it', async (t) => {
  const php = requireProgram(t, 'php');
  if (php === undefined) return;
  const library = '/usr/share/php/Net/Sieve.php';
  if (!requirePeer(t, library, existsSync(library))) return;
  const { door, folder } = await openDoor(t);
  const driver = join(folder, 'driver.php');
  writeFileSync(driver, phpDriver);
  const { code, said } = await run(php, [
    driver,
    `${door.port}`,
    certificate().certFile,
    join(folder, 'filters.siv'),
  ]);
  assert.equal(code, 0, said);
  assert.deepEqual(JSON.parse(said.slice(said.indexOf('{'))), {
    list: ['filters', 'second'],
    active: 'filters',
    back: script,
    space: true,
    broken: true,
    has: [true, false],
    left: ['filters'],
  });
});

const phpDriver = `<?php
error_reporting(E_ALL & ~E_DEPRECATED);
require_once 'Net/Sieve.php';
function must($what) { if (is_a($what, 'PEAR_Error')) { fwrite(STDERR, $what->getMessage()); exit(1); } return $what; }
$sieve = new Net_Sieve();
$tls = ['ssl' => ['cafile' => $argv[2], 'peer_name' => 'mx.example.test']];
must($sieve->connect('127.0.0.1', (int) $argv[1], $tls, true));
must($sieve->login('alice@example.test', 'secret', 'PLAIN', '', false));
$script = file_get_contents($argv[3]);
must($sieve->installScript('filters', $script, true));
must($sieve->installScript('second', 'keep;', false));
$list = must($sieve->listScripts());
$facts = [
  'list' => $list,
  'active' => must($sieve->getActive()),
  // It counts the line end behind the literal as part of the script, whatever server it talks to.
  'back' => preg_replace('/\\r\\n$/', '', must($sieve->getScript('filters'))),
  'space' => must($sieve->haveSpace('third', 100)),
  'broken' => is_a($sieve->installScript('third', 'fileinto;', false), 'PEAR_Error'),
  'has' => [must($sieve->hasExtension('fileinto')), must($sieve->hasExtension('nonsense'))],
];
must($sieve->removeScript('second'));
$facts['left'] = must($sieve->listScripts());
must($sieve->disconnect());
echo json_encode($facts);
`;
