/**
 * Plays SMTP conversations written as text against a real door.
 *
 *     door: protocol=lmtp tls=starttls auth=true    listener fields, in the first lines of the file
 *     limit: recipientsMax=2                        fields of limits
 *     config: bareNewlines=refuse                   fields of the config; JSON values
 *     answer: rcptTo nobody@x.test 550 5.1.1 Gone   what the flow says to that question and argument (`*`: any)
 *     # a comment
 *     == name                     a new conversation, on a new connection
 *     C: MAIL FROM:<a@b.test>     a line of the client; neighbouring C lines go out in one write. \r \n \0 \xHH \\ are octets
 *     C> a\n.                     the same without a line end of its own
 *     C! tls | end | wait 50      start a TLS handshake, close our side, pause so that what comes next is another packet
 *     S: 250 2.1.0 *              one line of the server; `*` stands for anything, `[...]` for a choice of octets
 *     S: 250 ...                  all lines of one reply with that code
 *     S! closed                   the server closes
 *     M: "one\r\n"                the next message that reached the flow, as a JSON string
 *     M! none                     no further message reached the flow
 *     E: close quit               the flow is told that, after what was expected of it before
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply } from '../../core/mail/reply.ts';
import type { Answer } from '../../src/flow/session.ts';
import { type DoorInit, openDoor, type TestDoor } from './door.ts';
import { LineClient } from './line-client.ts';

export interface Dialogue {
  readonly init: DoorInit;
  readonly conversations: readonly Conversation[];
}

interface Conversation {
  readonly name: string;
  readonly steps: readonly Step[];
}

interface Step {
  /** `C:`, `S!` ... */
  readonly kind: string;
  readonly text: string;
  /** Line in the file, from 1. */
  readonly line: number;
}

export function parseDialogue(source: string): Dialogue {
  const settings: Step[] = [];
  const conversations: { name: string; steps: Step[] }[] = [];
  for (const [index, line] of source.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const heading = /^== (.+)$/.exec(line)?.[1];
    const [, kind, text = ''] = /^([CSME][:>!]|door:|limit:|config:|answer:)(?: (.*))?$/.exec(line) ?? [];
    if (heading !== undefined) conversations.push({ name: heading, steps: [] });
    else if (kind === undefined) throw new Error(`line ${index + 1} of a dialogue is none: ${line}`);
    else (kind.length > 2 ? settings : conversations.at(-1)!.steps).push({ kind, text, line: index + 1 });
  }
  return { init: doorInit(settings), conversations };
}

export async function playDialogue(t: TestContext, dialogue: Dialogue): Promise<void> {
  for (const { name, steps } of dialogue.conversations) {
    await t.test(name, async (t) => {
      const door = await openDoor(t, dialogue.init);
      const player = new Player(door);
      try {
        await player.play(steps);
        assert.equal(door.flow.openSinks, 0, 'a message is neither finished nor dropped');
      } finally {
        player.close();
      }
    });
  }
}

class Player {
  readonly #door: TestDoor;
  readonly #client: LineClient;
  #messages = 0;
  #events = 0;

  constructor(door: TestDoor) {
    this.#door = door;
    this.#client = LineClient.toPort(door.port);
  }

  async play(steps: readonly Step[]): Promise<void> {
    let outgoing = '';
    for (const step of steps) {
      if (step.kind === 'C:') outgoing += `${octetsOf(step.text)}\r\n`;
      else if (step.kind === 'C>') outgoing += octetsOf(step.text);
      if (step.kind === 'C:' || step.kind === 'C>') continue;
      if (outgoing !== '') this.#client.send(outgoing);
      outgoing = '';
      await this.#step(step).catch((error: Error) => {
        error.message = `line ${step.line}: ${error.message}`;
        throw error;
      });
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #step({ kind, text }: Step): Promise<void> {
    if (kind === 'C!') await this.#act(text);
    else if (kind === 'S:') await this.#expectReply(text);
    else if (kind === 'S!') assert.equal(await this.#client.line(), undefined, 'the server should close');
    else if (kind === 'M:') await this.#expectMessage(JSON.parse(text));
    else if (kind === 'M!') assert.equal(this.#door.flow.messages.length, this.#messages, 'further messages');
    else await this.#expectEvent(text);
  }

  async #act(text: string): Promise<void> {
    if (text === 'tls') await this.#client.startTls();
    else if (text === 'end') this.#client.end();
    else await delay(Number(text.split(' ')[1]));
  }

  async #expectReply(pattern: string): Promise<void> {
    if (!pattern.endsWith(' ...')) {
      const line = await this.#client.line();
      assert.match(line ?? '<closed>', glob(pattern));
      return;
    }
    const lines = await this.#client.reply();
    for (const line of lines) assert.equal(line.slice(0, 3), pattern.slice(0, 3), line);
  }

  async #expectMessage(want: string): Promise<void> {
    const got = await soon(() => this.#door.flow.messages[this.#messages]);
    this.#messages += 1;
    assert.equal(got?.bytes.toString('latin1'), want);
  }

  async #expectEvent(want: string): Promise<void> {
    const { events } = this.#door.flow;
    const found = await soon(() => {
      const at = events.indexOf(want, this.#events);
      return at === -1 ? undefined : at;
    });
    assert.notEqual(found, undefined, `the flow was told ${JSON.stringify(events.slice(this.#events))}`);
    this.#events = found! + 1;
  }
}

/** Waits up to two seconds for something to turn up. */
async function soon<Value>(look: () => Value | undefined): Promise<Value | undefined> {
  for (let n = 0; n < 200; n += 1) {
    const value = look();
    if (value !== undefined) return value;
    await delay(10);
  }
  return undefined;
}

function octetsOf(text: string): string {
  return Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/\\(?:x([0-9A-Fa-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      return { r: '\r', n: '\n', '0': '\0' }[letter] ?? letter;
    });
}

function glob(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}

function doorInit(settings: readonly Step[]): DoorInit {
  const fields = (kind: string) =>
    Object.fromEntries(
      settings
        .filter((step) => step.kind === kind)
        .flatMap((step) => step.text.split(' '))
        .map((word) => [word.slice(0, word.indexOf('=')), value(word.slice(word.indexOf('=') + 1))]),
    );
  const rules = settings.filter(({ kind }) => kind === 'answer:').map(({ text }) => parseAnswer(text));
  const find = (question: string, argument: string): Answer =>
    rules.find((rule) => rule.question === question && ['*', argument].includes(rule.argument))?.reply;
  return {
    listener: fields('door:'),
    limits: fields('limit:'),
    config: fields('config:'),
    answers: {
      connect: () => find('connect', '*'),
      helo: (name) => find('helo', name),
      mailFrom: ({ sender }) => find('mailFrom', sender),
      rcptTo: ({ address }) => find('rcptTo', address),
      data: () => find('data', '*'),
      message: () => {
        const replies = rules.filter(({ question }) => question === 'message').map(({ reply }) => reply);
        return replies.length > 0 ? replies : undefined;
      },
    },
  };
}

function value(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A plain word.
    return text;
  }
}

function parseAnswer(text: string): { question: string; argument: string; reply: Reply } {
  const [question = '', argument = '', code = '', enhanced = '', ...rest] = text.split(' ');
  return { question, argument, reply: { code: Number(code), enhanced, text: rest.join(' ') } };
}
