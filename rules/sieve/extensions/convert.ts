/** convert, as a command and as a test: parts in another media type. RFC 6558. */

import { fieldValue } from '../../../core/mail/header.ts';
import { decodedBody, type Part, walkParts } from '../mime/part.ts';
import { entityOctets, replaceOctets } from '../mime/write-part.ts';
import type { Run } from '../run.ts';
import type { Extension, Positional, Step } from '../spec.ts';
import type { Use } from '../use.ts';

const positional: readonly Positional[] = [
  { name: 'quoted-from-media-type', type: 'string' },
  { name: 'quoted-to-media-type', type: 'string' },
  { name: 'transcoding-params', type: 'string-list' },
];

/** True where every part of the type was converted, and there was one. */
function conversion(use: Use): (run: Run) => boolean {
  use.compiler.needsBody = true;
  const from = use.text(0);
  const to = use.text(1);
  const parameters = use.texts(2);
  return (run) => {
    const [wanted, target] = [from.value(run).toLowerCase(), to.value(run)];
    const given = parameters.values(run);
    const isOfType = (part: Part) => `${part.type}/${part.subtype}` === wanted;
    const start = run.loops.length > 0 ? run.part : run.message.tree(run.limits);
    // From the last part on, so that the places of those before stay right.
    const parts = [...walkParts(start)].filter(isOfType).reverse();
    let all = parts.length > 0;
    for (const part of parts) {
      const content = decodedBody(part);
      const key = `convert ${part.octets.byteOffset} ${part.octets.length} ${target}\n${given.join('\n')}`;
      const converted =
        content && run.ask(key, () => run.environment.convert?.(content, wanted, target, given));
      if (converted) replacePart(run, part, target, Buffer.from(converted));
      else all = false;
    }
    if (parts.length > 0) run.refreshLoops();
    run.trace?.input('did', all ? 'converted' : 'not converted');
    return all;
  };
}

function replacePart(run: Run, part: Part, type: string, content: Buffer): void {
  const base64 = content.toString('base64').replace(/.{76}/g, '$&\r\n');
  const kept = part.fields.all
    .filter(
      ({ lowerName }) =>
        lowerName.startsWith('content-') &&
        !/^content-(?:type|transfer-encoding|length|md5)$/.test(lowerName),
    )
    .map(({ name, raw }) => ({ name, value: fieldValue(raw) }));
  const description = [
    { name: 'Content-Type', value: type },
    { name: 'Content-Transfer-Encoding', value: 'base64' },
    ...kept,
  ];
  const body = Buffer.from(`${base64}\r\n`);
  const root = run.message.tree(run.limits);
  if (part.parent === undefined) {
    run.edit(run.message.withContent([{ name: 'MIME-Version', value: '1.0' }, ...description], body));
    return;
  }
  const outer = root.fields.all
    .filter(({ lowerName }) => lowerName.startsWith('content-') || lowerName === 'mime-version')
    .map(({ name, raw }) => ({ name, value: fieldValue(raw) }));
  run.edit(run.message.withContent(outer, replaceOctets(root, part, entityOctets({ description, body }))));
}

export const convert: Extension = {
  name: 'convert',
  specs: [
    {
      name: 'convert',
      kind: 'command',
      positional,
      compile(use): Step {
        const converts = conversion(use);
        return (run) => void converts(run);
      },
    },
    { name: 'convert', kind: 'test', positional, compile: conversion },
  ],
};
