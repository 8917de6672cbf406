/** Finds the copy of a message that was delivered, wherever its user has moved it since. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { errnoOf } from '../../../core/base/errors.ts';
import type { Config } from '../../../core/config/config.ts';
import type { StoredTrace, TracePart } from '../../../core/state/trace-store.ts';
import { createFinder } from '../../delivery/find.ts';
import { deliveryField } from '../../delivery/mbox.ts';
import type { WalkTrace } from '../../flow/house.ts';
import { toCrlf } from '../../mailbox/crlf.ts';
import { mailboxPath } from '../../mailbox/locate.ts';
import { parseMbox } from '../../mailbox/mbox/parse.ts';

export interface StoredCopy {
  /** CRLF line ends. */
  readonly octets: Buffer;
  /** Id of the recipient whose copy it is. */
  readonly recipient: string;
}

export type FindCopy = (trace: StoredTrace<WalkTrace>) => Promise<StoredCopy | undefined>;

export function copyFinder({ mailbox }: Config): FindCopy {
  const finder = createFinder();
  const octetsOf = async ({ path, user, action }: TracePart): Promise<Uint8Array | undefined> => {
    if (mailbox.format === 'mbox') return inMbox(String(path), String(action));
    const name = basename(String(path)).split(/[,:]/)[0]!;
    const found = await finder.inMaildir(mailboxPath(mailbox.path, String(user)), name);
    return found === undefined ? undefined : readFileSync(found);
  };
  return async ({ parts }) => {
    for (const part of parts) {
      if (part.event !== 'stored') continue;
      const octets = await octetsOf(part).catch(unlessGone);
      if (octets === undefined) continue;
      const crlf = toCrlf(octets);
      const recipient = String(part.action).split('/')[1] ?? '';
      return { octets: Buffer.from(crlf.buffer, crlf.byteOffset, crlf.byteLength), recipient };
    }
    return undefined;
  };
}

/** The message with our id, without what mail readers keep in its header, its lines as they were before From_ was quoted. */
function inMbox(path: string, action: string): Buffer | undefined {
  const text = readFileSync(path);
  const marker = `\n${deliveryField}: ${action}\n`;
  for (const { headerStart, bodyStart, bodyEnd, fields } of parseMbox(text).messages) {
    const header = text.subarray(headerStart - 1, bodyStart);
    if (!header.includes(marker)) continue;
    const pieces: string[] = [];
    let at = headerStart;
    for (const { start, end } of fields) {
      pieces.push(text.toString('latin1', at, start));
      at = end;
    }
    pieces.push(text.toString('latin1', at, bodyStart));
    pieces.push(text.toString('latin1', bodyStart, bodyEnd).replace(/^>(>*From )/gm, '$1'));
    return Buffer.from(pieces.join(''), 'latin1');
  }
  return undefined;
}

function unlessGone(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
  return undefined;
}
