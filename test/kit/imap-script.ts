/** Scripted IMAP conversations in imaptest's format: headers, commands, expected answers with variables. */
import assert from 'node:assert/strict';
import { type ImapValue, ImapWire, parseValues } from './imap-values.ts';

export interface ScriptedConversation {
  readonly name: string;
  readonly script: string;
  /** Messages in an mbox, each begun by a From_ line. */
  readonly mbox: string;
}

export interface ScriptServer {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

interface ScriptedCommand {
  readonly connection: number;
  readonly tag: string;
  readonly text: string;
  readonly expected: { readonly line: string; readonly banned: boolean }[];
  /** '' for any. */
  status: string;
  prefix: string;
}

/** Runs one script against a server; throws an AssertionError that names the command. @returns why it was skipped */
export async function runImapScript(
  conversation: ScriptedConversation,
  server: ScriptServer,
): Promise<string | undefined> {
  const { headers, groups } = parseScript(conversation.script);
  const connections = Number(headers.get('connections') ?? '1');
  const wires: ImapWire[] = [];
  try {
    for (let at = 0; at < connections; at += 1) wires.push(await ImapWire.open(server.port));
    const run = new ScriptRun(conversation, server, headers, wires);
    const missing = await run.prepare();
    if (missing) return `the server has no ${missing}`;
    for (const group of groups) await run.group(group);
    return undefined;
  } finally {
    for (const wire of wires) wire.close();
  }
}

const states = ['nonauth', 'auth', 'created', 'appended', 'selected'];
const mailbox = 'imaptest';

class ScriptRun {
  readonly #conversation: ScriptedConversation;
  readonly #server: ScriptServer;
  readonly #headers: ReadonlyMap<string, string>;
  readonly #wires: readonly ImapWire[];
  readonly #messages: readonly string[];
  readonly #variables = new Map<string, ImapValue>();
  #nextMessage = 0;
  #nextTag = 1;

  constructor(
    conversation: ScriptedConversation,
    server: ScriptServer,
    headers: ReadonlyMap<string, string>,
    wires: readonly ImapWire[],
  ) {
    this.#conversation = conversation;
    this.#server = server;
    this.#headers = headers;
    this.#wires = wires;
    this.#messages = splitMbox(conversation.mbox);
    const [username, domain] = server.user.split('@');
    const predefined = { mailbox, user: server.user, username, domain, password: server.password };
    for (const [name, value] of Object.entries(predefined)) this.#variables.set(name, value!);
  }

  /** Brings every connection into the state that the script begins in. */
  async prepare(): Promise<string | undefined> {
    const state = states.indexOf(this.#headers.get('state') ?? 'selected');
    const [first] = this.#wires;
    if (state < 1) return undefined;
    for (const wire of this.#wires)
      await this.#do(wire, `LOGIN ${this.#server.user} ${this.#server.password}`);
    const capabilities = (await this.#do(first!, 'CAPABILITY')).join(' ').toUpperCase().split(/[ \]]/);
    const wanted = (this.#headers.get('capabilities') ?? '').split(' ').filter((each) => each !== '');
    const missing = wanted.find((each) => !capabilities.includes(each.toUpperCase()));
    if (missing) return missing;
    await this.#deleteAll(first!);
    if (state >= 2) await this.#do(first!, `CREATE ${mailbox}`);
    if (state >= 3) await this.#appendAll(first!);
    if (state >= 4) for (const wire of this.#wires) await this.#do(wire, `SELECT ${mailbox}`);
    return undefined;
  }

  async group(commands: readonly ScriptedCommand[]): Promise<void> {
    const wire = this.#wires[commands[0]!.connection - 1]!;
    for (const { tag, text } of commands) await this.#send(wire, tag, text);
    const untagged: string[] = [];
    const expected: ScriptedCommand['expected'] = [];
    for (const command of commands) {
      untagged.push(...(await this.#completed(wire, command)));
      expected.push(...command.expected);
    }
    this.#compare(untagged, expected, commands.map(({ text }) => text).join(', '));
  }

  async #deleteAll(wire: ImapWire): Promise<void> {
    const listed = (await this.#do(wire, `LIST "" ${mailbox}*`)).filter((line) => line.startsWith('* LIST'));
    const names = listed.map((line) => parseValues(line).at(-1) as string);
    for (const name of names.sort().reverse()) await wire.command(this.#tag(), `DELETE "${name}"`);
  }

  async #appendAll(wire: ImapWire): Promise<void> {
    const wanted = this.#headers.get('messages') ?? 'all';
    const count = wanted === 'all' ? this.#messages.length : Number(wanted);
    for (let at = 0; at < count; at += 1) {
      const tag = this.#tag();
      await this.#send(wire, tag, `append ${mailbox}`);
      assert.match((await wire.until(tag)).at(-1)!, / OK /);
    }
  }

  async #do(wire: ImapWire, text: string): Promise<string[]> {
    const tag = this.#tag();
    const responses = await wire.command(tag, text);
    assert.match(responses.at(-1)!, new RegExp(`^${tag} OK`), `${text}: ${responses.at(-1)}`);
    return responses;
  }

  #tag(): string {
    return `p${this.#nextTag++}`;
  }

  /** `append` sends the next message of the mbox. */
  async #send(wire: ImapWire, tag: string, text: string): Promise<void> {
    const command = this.#substitute(text);
    if (!/^append(?: |$)/i.test(command) || command.endsWith('}')) {
      wire.send(`${tag} ${command}\r\n`);
      return;
    }
    const message = this.#messages[this.#nextMessage % this.#messages.length]!;
    this.#nextMessage += 1;
    const target = command.toLowerCase() === 'append' ? `append ${mailbox}` : command;
    wire.send(`${tag} ${target} {${message.length}+}\r\n${message}\r\n`);
  }

  /** @returns the untagged responses */
  async #completed(wire: ImapWire, command: ScriptedCommand): Promise<string[]> {
    const responses = await wire.until(command.tag);
    const tagged = responses.pop()!;
    const where = `${this.#conversation.name}: ${command.text}\n${responses.join('\n')}\n${tagged}`;
    const status = tagged.split(' ')[1]?.toLowerCase() ?? '';
    if (command.status !== '') assert.equal(status, command.status.toLowerCase(), where);
    const rest = tagged.split(' ').slice(2).join(' ').toLowerCase();
    assert.ok(rest.startsWith(command.prefix.toLowerCase()), `${where}\nwants ${command.prefix}`);
    return responses;
  }

  #compare(responses: readonly string[], expected: ScriptedCommand['expected'], text: string): void {
    const where = `${this.#conversation.name}: ${text}\n${responses.join('\n')}`;
    const untagged = responses
      .filter((line) => line.startsWith('* '))
      .map((line) => parseValues(line.slice(2)));
    const byFirstNumbers = withFirstNumbers(untagged);
    for (const { line, banned } of expected) {
      // `$1` is the message that was number 1 when the command began.
      const counted = /^\$(\d+) (.*)$/s.exec(line);
      const want = parseValues(this.#substitute(counted ? `${counted[1]} ${counted[2]}` : line, true));
      const found = (counted ? byFirstNumbers : untagged).some((have) => this.#matchesResponse(want, have));
      assert.equal(found, !banned, `${where}\n${banned ? 'must not have' : 'wants'} ${line}`);
    }
  }

  #matchesResponse(want: readonly ImapValue[], have: readonly ImapValue[]): boolean {
    const bound = new Map<string, ImapValue>();
    const matcher = new Matcher(this.#variables, bound);
    if (!matcher.response(want, have)) return false;
    for (const [name, value] of bound) this.#variables.set(name, value);
    return true;
  }

  /** Known variables as their values; `$$` is a dollar sign. @param keep leaves those that are not known, to be bound */
  #substitute(text: string, keep = false): string {
    return text.replace(/\$(\$|\{(\w+)\}|(\w+))/g, (whole, dollar: string, braced: string, bare: string) => {
      if (dollar === '$') return keep ? '\u0001' : '$';
      const value = this.#variables.get(braced ?? bare);
      if (typeof value === 'string' && !/^modseq\d+$/.test(braced ?? bare)) {
        return keep && /[\s"(){}\\]|^$/.test(value) ? `{${value.length}}\r\n${value}` : value;
      }
      assert.ok(keep, `the variable ${whole} has no value`);
      return whole;
    });
  }
}

/** Responses with the numbers that their messages had before the first EXPUNGE of them. */
function withFirstNumbers(responses: readonly ImapValue[][]): ImapValue[][] {
  const gone: number[] = [];
  return responses.map(([number, name, ...rest]) => {
    if (typeof number !== 'string' || typeof name !== 'string' || !/^(?:expunge|fetch)$/i.test(name)) {
      return [number!, name!, ...rest];
    }
    let first = Number(number);
    for (const each of [...gone].sort((a, b) => a - b)) if (each <= first) first += 1;
    if (name.toLowerCase() === 'expunge') gone.push(first);
    return [String(first), name, ...rest];
  });
}

class Matcher {
  readonly #variables: ReadonlyMap<string, ImapValue>;
  readonly #bound: Map<string, ImapValue>;

  constructor(variables: ReadonlyMap<string, ImapValue>, bound: Map<string, ImapValue>) {
    this.#variables = variables;
    this.#bound = bound;
  }

  response(want: readonly ImapValue[], have: readonly ImapValue[]): boolean {
    const word = (at: number) => (typeof want[at] === 'string' ? (want[at] as string).toLowerCase() : '');
    if (word(1) === 'fetch')
      return this.#heads(want, have, 2) && this.#list(want[2]!, have[2]!, fetchRules, 'fetch');
    if (word(0) === 'list' || word(0) === 'lsub') {
      return (
        this.#heads(want, have, 1) &&
        this.#list(want[1]!, have[1]!, unordered, '') &&
        this.#rest(want, have, 2)
      );
    }
    if (word(0) === 'status') {
      return this.#heads(want, have, 2) && this.#list(want[2]!, have[2]!, { chain: 2, extra: true }, '');
    }
    if (word(0) === 'search') return want.length === have.length && this.#rest(want, have, 0);
    return this.#rest(want, have, 0);
  }

  #heads(want: readonly ImapValue[], have: readonly ImapValue[], count: number): boolean {
    return want.slice(0, count).every((each, at) => have[at] !== undefined && this.#value(each, have[at]));
  }

  #rest(want: readonly ImapValue[], have: readonly ImapValue[], from: number): boolean {
    return want
      .slice(from)
      .every((each, at) => have[at + from] !== undefined && this.#value(each, have[at + from]!));
  }

  #value(want: ImapValue, have: ImapValue): boolean {
    if (typeof want === 'string') return this.#text(want, have);
    if (want.length === 1 && want[0] === '$!unordered') return typeof have !== 'string';
    return typeof have !== 'string' && this.#list(want, have, { chain: 0, extra: false }, '');
  }

  #text(want: string, have: ImapValue): boolean {
    if (want === '$') return true;
    if (/^\$\w+$/.test(want)) return this.#variable(want.slice(1), have);
    if (typeof have !== 'string') return false;
    const plain = want.replaceAll('\u0001', '$');
    if (plain.startsWith('~\u0002')) {
      return plain.slice(2).replaceAll('\r', '') === have.replaceAll('\r', '');
    }
    return plain.toLowerCase() === have.toLowerCase();
  }

  #variable(name: string, have: ImapValue): boolean {
    const known = this.#bound.get(name) ?? this.#variables.get(name);
    if (known === undefined) {
      this.#bound.set(name, have);
      return true;
    }
    return JSON.stringify(known).toLowerCase() === JSON.stringify(have).toLowerCase();
  }

  #list(want: ImapValue, have: ImapValue, rules: ListRules, kind: string): boolean {
    if (typeof want === 'string') return this.#text(want, have);
    if (typeof have === 'string') return false;
    const items = want.filter((each) => !(typeof each === 'string' && each.startsWith('$!')));
    const own = items.length < want.length ? directives(want, rules) : rules;
    if (own.chain === 0) {
      return items.length === have.length && items.every((each, at) => this.#value(each, have[at]!));
    }
    return this.#chains(items, have, own, kind);
  }

  #chains(want: readonly ImapValue[], have: readonly ImapValue[], rules: ListRules, kind: string): boolean {
    const { chain } = rules;
    const left = new Set(Array.from({ length: Math.ceil(have.length / chain) }, (_, at) => at * chain));
    for (let at = 0; at < want.length; at += chain) {
      const found = [...left].find((from) =>
        this.#chain(want.slice(at, at + chain), have.slice(from, from + chain), kind),
      );
      if (found === undefined) return false;
      left.delete(found);
    }
    const ignored = rules.ignore?.toLowerCase();
    return (
      rules.extra ||
      [...left].every((at) => ignored !== undefined && String(have[at]).toLowerCase() === ignored)
    );
  }

  #chain(want: readonly ImapValue[], have: readonly ImapValue[], kind: string): boolean {
    if (want.length !== have.length) return false;
    const isFlags = kind === 'fetch' && String(want[0]).toLowerCase() === 'flags';
    if (isFlags) return this.#value(want[0]!, have[0]!) && this.#list(want[1]!, have[1]!, flagRules, '');
    return want.every((each, at) => this.#value(each, have[at]!));
  }
}

interface ListRules {
  /** 0: in order. */
  readonly chain: number;
  readonly extra: boolean;
  readonly ignore?: string;
}
const unordered: ListRules = { chain: 1, extra: true };
const fetchRules: ListRules = { chain: 2, extra: true };
const flagRules: ListRules = { chain: 1, extra: false, ignore: '\\recent' };

function directives(want: readonly ImapValue[], rules: ListRules): ListRules {
  let { chain, extra, ignore } = { ignore: undefined as string | undefined, ...rules };
  for (const each of want) {
    if (typeof each !== 'string' || !each.startsWith('$!')) continue;
    const [name, value] = each.slice(2).split('=');
    if (name === 'unordered') {
      chain = Number(value ?? '1');
      extra = true;
    } else if (name === 'ordered') chain = 0;
    else if (name === 'noextra') extra = false;
    else if (name === 'extra') extra = true;
    else if (name === 'ignore') ignore = value;
  }
  return { chain, extra, ...(ignore !== undefined && { ignore }) };
}

function splitMbox(mbox: string): string[] {
  return mbox
    .split(/^From .*\n/m)
    .slice(1)
    .map((message) => message.replaceAll('\n', '\r\n'));
}

/** Headers, and commands in groups: those of a group are sent together. */
function parseScript(script: string): { headers: Map<string, string>; groups: ScriptedCommand[][] } {
  const lines = joinLiterals(script.replaceAll('\r', '').split('\n')).filter((line) => !line.startsWith('#'));
  const headers = new Map<string, string>();
  while (/^\w+: /.test(lines[0] ?? '')) {
    const [name, value] = lines.shift()!.split(': ') as [string, string];
    headers.set(name, value.trim());
  }
  const several = Number(headers.get('connections') ?? '1') > 1;
  const reader = new ScriptReader(several);
  for (const line of lines) reader.line(line.trimEnd());
  reader.finish();
  return { headers, groups: reader.groups };
}

/** A `{{{` literal, over several lines, as one word. */
function joinLiterals(lines: readonly string[]): string[] {
  const joined: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const start = /^(.*?)(~?)\{\{\{$/.exec(lines[at]!);
    if (!start) {
      joined.push(lines[at]!);
      continue;
    }
    const end = lines.findIndex((line, index) => index > at && line.startsWith('}}}'));
    const text =
      (start[2] ? '~\u0002' : '') +
      lines
        .slice(at + 1, end)
        .join('\r\n')
        .replaceAll('$', '\u0001');
    joined.push(`${start[1]}{${text.length}}\r\n${text}${lines[end]!.slice(3)}`);
    at = end;
  }
  return joined;
}

class ScriptReader {
  readonly groups: ScriptedCommand[][] = [];
  readonly #several: boolean;
  #group: ScriptedCommand[] = [];
  /** Tagged commands that wait for their tagged answers. */
  #expected: ScriptedCommand['expected'] = [];
  #openUntagged: ScriptedCommand | undefined;
  #nextTag = 1;

  constructor(several: boolean) {
    this.#several = several;
  }

  line(line: string): void {
    if (line === '') return;
    if (/^[*!] /.test(line)) {
      this.#expected.push({ line: line.slice(2), banned: line.startsWith('!') });
      return;
    }
    let rest = line;
    let connection = 1;
    if (this.#several) {
      const match = /^(\d+) (.*)$/s.exec(line)!;
      connection = Number(match[1]);
      rest = match[2]!;
    }
    const status = /^(ok|no|bad|"")(?: (.*))?$/is.exec(rest);
    if (status && this.#openUntagged) this.#answerOpen(status[1]!, status[2] ?? '');
    else if (status) this.#plain(connection, status[1]!, status[2]!);
    else this.#tagged(connection, rest);
  }

  finish(): void {
    this.#flush();
  }

  #plain(connection: number, status: string, text: string): void {
    this.#flush();
    this.#add({ connection, tag: `t${this.#nextTag++}`, text, status: status === '""' ? '' : status });
  }

  /** A tag of the script's own, or a command whose answer stands below it. */
  #tagged(connection: number, rest: string): void {
    const [tag, word, ...more] = rest.split(' ');
    if (/^tag\d+$/.test(tag!)) {
      const pending = this.#group.find((command) => command.tag === tag && command.status === 'pending');
      if (!pending) {
        if (this.#group.every((command) => command.status !== 'pending')) this.#flush();
        this.#group.push({
          connection,
          tag: tag!,
          text: [word, ...more].join(' '),
          expected: [],
          status: 'pending',
          prefix: '',
        });
        return;
      }
      pending.status = word === '""' ? '' : word!;
      pending.prefix = more.join(' ');
      pending.expected.push(...this.#expected.splice(0));
      return;
    }
    this.#flush();
    this.#add({ connection, tag: `t${this.#nextTag++}`, text: rest, status: '' });
    this.#openUntagged = this.#group[0];
  }

  #answerOpen(status: string, prefix: string): void {
    const command = this.#openUntagged!;
    command.status = status === '""' ? '' : status;
    command.prefix = prefix;
    this.#flush();
  }

  #add(command: Pick<ScriptedCommand, 'connection' | 'tag' | 'text' | 'status'>): void {
    this.#expected = [];
    this.#group = [{ ...command, expected: this.#expected, prefix: '' }];
  }

  #flush(): void {
    if (this.#group.length > 0) this.groups.push(this.#group);
    this.#group = [];
    this.#expected = [];
    this.#openUntagged = undefined;
  }
}
