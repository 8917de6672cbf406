/** `npm run build`: what is published installs, runs on Node 24 from node_modules, and takes plugins written in TypeScript. The systemd unit is one. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot, requireProgram } from '../kit/require.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'mailfilter-build-'));
const installed = join(folder, 'node_modules/mailfilter');
after(() => rmSync(folder, { recursive: true, force: true }));

/** As npm lays it out, with the dependencies of this project in place of those from the registry. */
before(async () => {
  const built = join(folder, 'built');
  await run(process.execPath, [join(projectRoot, 'packaging/build.ts'), built]);
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: built });
  mkdirSync(installed, { recursive: true });
  const [{ filename }] = JSON.parse(stdout);
  await run('tar', ['-xzf', join(folder, filename), '-C', installed, '--strip-components=1']);
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules', name), link);
  }
});

/** The installed command, run in the folder that it was installed into. */
async function mailfilter(...args: string[]): Promise<string> {
  const { MAILFILTER_CONFIG: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const command = join(installed, 'src/mailfilter.js');
  const { stdout } = await run(process.execPath, [command, ...args], { cwd: folder, env });
  return stdout;
}

test('nothing that Node would refuse below node_modules, and nothing of the tests', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  const typescript = files.filter(
    (file) => /(?<!\.d)\.ts$/.test(file) && !file.startsWith('plugins/_template'),
  );
  assert.deepEqual(typescript, []);
  assert.deepEqual(
    // The document that README leads to is the one thing of test/ that goes along.
    files.filter((file) => /^(?:test|node_modules)\/.*\.\w+$/.test(file) && file !== 'test/bench/README.md'),
    [],
  );
});

test('a plugin in TypeScript: made, tested, type-checked, and run in a pipeline of the installed program', async () => {
  await mailfilter('plugin', 'new', 'my-plugin');
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const tested = await run(process.execPath, ['--test', 'my-plugin/index.test.ts'], { cwd: folder, env });
  assert.match(tested.stdout, /pass 6\n.*fail 0/s);

  const options = {
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: 'es2024',
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['my-plugin/index.ts'] }),
  );
  await run(join(projectRoot, 'node_modules/.bin/tsc'), ['-p', folder]);

  await mailfilter('init', 'server', '--domain', 'a.example', '--address', '127.0.0.1', '--user', 'nobody');
  const file = join(folder, 'mailfilter.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.pipelines.inbound = ['content-rules', './my-plugin/index.ts'];
  config.pipelines.inbound[0] = { plugin: 'header-rules', options: { rules: [] } };
  writeFileSync(file, JSON.stringify(config));
  const command = join(installed, 'src/mailfilter.js');
  const filtering = run(process.execPath, [command, 'filter', '--rcpt', 'b@a.example'], { cwd: folder });
  filtering.child.stdin!.end('Subject: BUY IT NOW\n\nHello.\n');
  assert.match((await filtering).stdout, /^X-Shouting: yes$/m);
});

test('the demo of the installed program runs, supervisor and roles included', async () => {
  const demo = join(folder, '.mailfilter');
  const { ensureDemo } = await import('../../src/cli/demo-installation.ts');
  const { configFile } = await ensureDemo(demo);
  const text = readFileSync(configFile, 'utf8');
  writeFileSync(configFile, text.replace(/127\.0\.0\.1:2\d{3}/g, '127.0.0.1:0'));
  const rows: { verdict: string }[] = JSON.parse(await mailfilter('demo', '--directory', demo, '--json'));
  assert.equal(rows.filter(({ verdict }) => verdict.startsWith('250')).length, 6);
});

test('the systemd unit says nothing that systemd does not know', async (t) => {
  const program = requireProgram(t, 'systemd-analyze');
  if (program === undefined) return;
  const unit = join(folder, 'mailfilter.service');
  const text = readFileSync(join(projectRoot, 'packaging/mailfilter.service'), 'utf8');
  const [, node] = /^ExecStart=(\S+)/m.exec(text)!;
  writeFileSync(unit, text.replaceAll(node!, process.execPath));
  const { stderr } = await run(program, ['verify', '--man=no', unit]);
  assert.equal(stderr, '');
  for (const [command] of text.matchAll(/src\/mailfilter\.js [a-z]+/g)) assert.match(command, /serve|reload/);
});
