/** `npm run build [FOLDER]`: the package as it is published, in dist/ or FOLDER: JavaScript with declarations, since Node strips no types below node_modules. */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const output = resolve(process.argv[2] ?? join(root, 'dist'));

/** What goes in beside the compiled files; the template stays TypeScript, for it is copied to where Node strips types. */
const copied = [
  'LICENSE',
  'README.md',
  'docs/*.md',
  'mailfilter.schema.json',
  'packaging/mailfilter.service',
  'plugins/README.md',
  'plugins/*/README.md',
  'plugins/_template/*',
  'rules/**/*.{json,md}',
  'src/mailfilter.js',
  'src/programs/*',
  'src/ingress/README.md',
  'core/mail/README.md',
  'test/bench/README.md',
];

interface Manifest {
  readonly exports: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

rmSync(output, { recursive: true, force: true });
compile();
for (const file of globSync(copied, { cwd: root })) {
  mkdirSync(dirname(join(output, file)), { recursive: true });
  cpSync(join(root, file), join(output, file), { recursive: true });
}
const manifest = publishedManifest(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
writeFileSync(join(output, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
process.stdout.write(`built ${output}\n`);

function compile(): void {
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { status, error } = spawnSync(tsc, ['-p', join(root, 'packaging'), '--outDir', output], {
    stdio: 'inherit',
  });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** For machines that have Node 24: it brings none along, unlike a clone, and needs nothing that only development needs. */
function publishedManifest(source: Manifest): Manifest {
  const {
    private: _p,
    scripts: _s,
    devDependencies: _d,
    optionalDependencies: _o,
    allowScripts: _a,
    ...kept
  } = source;
  const exports = Object.fromEntries(
    Object.entries(source.exports).map(([name, file]) => [
      name,
      file.endsWith('.ts')
        ? { types: file.replace(/\.ts$/, '.d.ts'), default: file.replace(/\.ts$/, '.js') }
        : file,
    ]),
  );
  return { ...kept, engines: { node: '>=24' }, exports } as unknown as Manifest;
}
