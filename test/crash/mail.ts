/** The mail of a crash test: what each message is, where its copies go, and what its mailboxes must hold of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoreAction } from '../../src/delivery/store.ts';
import { fromLine } from '../../src/mailbox/mbox/format.ts';

export const internalDate = Date.UTC(2026, 0, 2, 3, 4, 5);
const sizes = [300, 9000, 2500, 40_000, 700, 150_000, 5000];

export function idOf(number: number): string {
  return `CRASH${String(number).padStart(5, '0')}X`;
}

/** CRLF line ends; every line says whose it is. */
export function textOf(number: number): string {
  const line = `${idOf(number)} says one line of text\r\n`;
  const lines = Math.ceil(sizes[number % sizes.length]! / line.length);
  return `From: bob@sender.test\r\nSubject: ${idOf(number)}\r\n\r\n${line.repeat(lines)}From the end\r\n`;
}

/** One or two copies: INBOX, a folder with flags, an mbox. */
export function storesOf(number: number, root: string): Partial<StoreAction>[] {
  const date = { internalDate };
  if (number % 4 === 1) return [{ ...date, format: 'mbox', path: join(root, 'mail', 'box') }];
  if (number % 5 === 2)
    return [date, { ...date, folder: `Lists/L${number % 3}`, create: true, flags: ['\\Seen'] }];
  return [date];
}

/** Copies in Maildir and mbox as they are found: by message, how many whole ones; and what is no whole message. */
export function countCopies(root: string, total: number): { whole: Map<number, number>; partial: string[] } {
  const wanted = new Map<string, number>();
  for (let number = 0; number < total; number += 1) wanted.set(storedText(number), number);
  const whole = new Map<number, number>();
  const partial: string[] = [];
  const count = (number: number) => whole.set(number, (whole.get(number) ?? 0) + 1);
  for (const path of maildirFiles(join(root, 'mail', 'alice'))) {
    const number = wanted.get(readFileSync(path, 'latin1'));
    if (number === undefined) partial.push(path);
    else count(number);
  }
  const box = join(root, 'mail', 'box');
  // A From_ line begins a message only where a line begins.
  const mbox = `\n${existsSync(box) ? readFileSync(box, 'latin1') : ''}`;
  for (let number = 0; number < total; number += 1) {
    for (let at = mbox.indexOf(mboxText(number)); at >= 0; at = mbox.indexOf(mboxText(number), at + 1))
      count(number);
  }
  return { whole, partial };
}

function storedText(number: number): string {
  return (
    `Return-Path: <bob@sender.test>\nDelivered-To: alice@example.test\n` +
    `Received: by mx.example.test with ESMTP id ${idOf(number)}\n${textOf(number).replaceAll('\r\n', '\n')}`
  );
}

function mboxText(number: number): string {
  const stored = storedText(number).replace(
    '\nReceived:',
    `\nX-Mailfilter-Delivery: ${idOf(number)}/r1/0\nReceived:`,
  );
  return `\n${fromLine('bob@sender.test', internalDate)}${stored.replace('\nFrom the end', '\n>From the end')}\n`;
}

function maildirFiles(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\/(new|cur)$/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name));
}
