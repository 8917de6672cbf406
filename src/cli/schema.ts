/** `mailfilter schema`: writes mailfilter.schema.json, from which editors complete a config; with --check says whether it is fresh. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { editorSchemaText } from '../../core/config/editor-schema.ts';
import { loadManifests } from '../../core/pipeline/manifests.ts';
import { bundledPlugins } from '../../core/plugin/bundled.ts';
import { CommandError, exitCodes } from './exit-codes.ts';
import { programDirectory } from './installation.ts';

export function define(command: Command): void {
  command
    .option('--check', 'write nothing; exit code 1 when the file is not what would be written')
    .option('--output <file>', 'file to write', join(programDirectory, 'mailfilter.schema.json'))
    .action(async (options: { check?: boolean; output: string }) => {
      const text = editorSchemaText(await loadManifests(bundledPlugins()));
      const fresh = existsSync(options.output) && readFileSync(options.output, 'utf8') === text;
      if (options.check !== true) {
        if (!fresh) writeFileSync(options.output, text);
        process.stdout.write(`${fresh ? 'fresh already' : 'wrote'}: ${options.output}\n`);
      } else if (!fresh) {
        const advice = 'Run "npm run schema" and commit the file.';
        throw new CommandError(exitCodes.negative, `${options.output} is not what the code says`, advice);
      }
    });
}
