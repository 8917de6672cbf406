/** Commands of the milter protocol as values: what the MTA tells the filter. */
import { milterLimits } from '../../base/limits/doors.ts';
import { stringAt, stringsIn, terminated, textOf } from './fields.ts';
import { decodeTerms, encodeTerms, type Terms } from './negotiation.ts';
import { type CommandType, commandLetters } from './numbers.ts';
import { encodePacket, type Packet, type Part } from './packet.ts';
import { MilterWireError } from './wire-error.ts';

export type MilterCommand =
  | { readonly type: 'negotiate'; readonly terms: Terms }
  /** Macros for the command that follows, names as written: `i`, `{auth_authen}`. */
  | { readonly type: 'macros'; readonly for: string; readonly macros: ReadonlyMap<string, string> }
  | {
      readonly type: 'connect';
      /** Name of the client, or its address in brackets. */
      readonly hostname: string;
      readonly family: 'unknown' | 'unix' | 'inet' | 'inet6';
      /** 0 where there is none. */
      readonly port: number;
      /** Address without the `IPv6:` that some MTAs put in front; path of a unix socket; `''` when unknown. */
      readonly address: string;
    }
  | { readonly type: 'helo'; readonly name: string }
  /** The path as the client wrote it, mostly in angle brackets, and its ESMTP arguments. */
  | { readonly type: 'mail' | 'rcpt'; readonly path: string; readonly arguments: readonly string[] }
  | { readonly type: 'data' }
  | { readonly type: 'unknown'; readonly line: string }
  /** Octets as the MTA has them; line ends inside a value are LF. */
  | { readonly type: 'header'; readonly name: Buffer; readonly value: Buffer }
  | { readonly type: 'endOfHeaders' }
  | { readonly type: 'body'; readonly chunk: Buffer }
  /** May bring a last chunk. */
  | { readonly type: 'endOfMessage'; readonly chunk: Buffer }
  | { readonly type: 'abort' | 'quit' | 'quitNewConnection' };

type CommandOf<Type extends CommandType> = MilterCommand & { readonly type: Type };

const families = { U: 'unknown', L: 'unix', 4: 'inet', 6: 'inet6' } as const;

/** How each command's data is read. */
const decoders: { readonly [Type in CommandType]: (data: Buffer) => CommandOf<Type> } = {
  negotiate: (data) => ({ type: 'negotiate', terms: decodeTerms(data) }),
  macros: decodeMacros,
  connect: decodeConnect,
  helo: (data) => ({ type: 'helo', name: stringsIn(data, 1, 'HELO')[0] ?? '' }),
  mail: (data) => ({ type: 'mail', ...decodePath(data, 'MAIL') }),
  rcpt: (data) => ({ type: 'rcpt', ...decodePath(data, 'RCPT') }),
  data: () => ({ type: 'data' }),
  unknown: (data) => ({ type: 'unknown', line: stringsIn(data, 1, 'a command')[0] ?? '' }),
  header: decodeHeader,
  endOfHeaders: () => ({ type: 'endOfHeaders' }),
  body: (data) => ({ type: 'body', chunk: data }),
  endOfMessage: (data) => ({ type: 'endOfMessage', chunk: data }),
  abort: () => ({ type: 'abort' }),
  quit: () => ({ type: 'quit' }),
  quitNewConnection: () => ({ type: 'quitNewConnection' }),
};

const typesByLetter = new Map(
  Object.entries(commandLetters).map(([type, letter]) => [letter as string, type as CommandType]),
);

/** @throws MilterWireError for an unknown letter or data that cannot be read */
export function decodeCommand({ letter, data }: Packet): MilterCommand {
  const type = typesByLetter.get(letter);
  if (type === undefined) throw new MilterWireError(`no command has the letter ${JSON.stringify(letter)}`);
  return decoders[type](data);
}

/** What the data of each command is made of. */
const encoders: { readonly [Type in CommandType]: (command: CommandOf<Type>) => readonly Part[] } = {
  negotiate: ({ terms }) => [encodeTerms(terms).subarray(5)],
  macros: (command) => [
    Buffer.from(command.for, 'latin1'),
    ...[...command.macros].flatMap((pair) => pair.map((text) => terminated(text, 'a macro'))),
  ],
  connect: encodeConnect,
  helo: ({ name }) => [terminated(name, 'HELO')],
  mail: encodePath,
  rcpt: encodePath,
  data: () => [],
  unknown: ({ line }) => [terminated(line, 'a command')],
  header: ({ name, value }) => [name, nul, value, nul],
  endOfHeaders: () => [],
  body: ({ chunk }) => [chunk],
  endOfMessage: ({ chunk }) => [chunk],
  abort: () => [],
  quit: () => [],
  quitNewConnection: () => [],
};

const nul = Buffer.from([0]);

export function encodeCommand(command: MilterCommand): Buffer {
  // The table pairs each type with its own encoder, which TypeScript cannot see through an index.
  const encode = encoders[command.type] as (command: MilterCommand) => readonly Part[];
  return encodePacket(commandLetters[command.type], ...encode(command));
}

function decodeMacros(data: Buffer): CommandOf<'macros'> {
  if (data.length === 0) throw new MilterWireError('macros for no command');
  const texts = stringsIn(data.subarray(1), 2 * milterLimits.macrosMax, 'macros');
  const macros = new Map<string, string>();
  for (let at = 0; at < texts.length; at += 2) macros.set(texts[at]!, texts[at + 1] ?? '');
  return { type: 'macros', for: String.fromCharCode(data[0]!), macros };
}

function decodeConnect(data: Buffer): CommandOf<'connect'> {
  const { value, next } = stringAt(data, 0, "the client's name");
  const family = families[String.fromCharCode(data[next] ?? 0) as keyof typeof families];
  if (family === undefined) throw new MilterWireError('no such address family');
  const hostname = textOf(value);
  if (family === 'unknown') return { type: 'connect', hostname, family, port: 0, address: '' };
  if (data.length < next + 3) throw new MilterWireError('the address of the client is cut short');
  const address = stringsIn(data.subarray(next + 3), 1, "the client's address")[0] ?? '';
  return {
    type: 'connect',
    hostname,
    family,
    port: data.readUInt16BE(next + 1),
    address: address.replace(/^IPv6:/i, ''),
  };
}

function encodeConnect({ hostname, family, port, address }: CommandOf<'connect'>): readonly Part[] {
  const letter = { unknown: 'U', unix: 'L', inet: '4', inet6: '6' }[family];
  const head = [terminated(hostname, "the client's name"), letter];
  if (family === 'unknown') return head;
  return [...head, Buffer.from([port >> 8, port & 255]), terminated(address, "the client's address")];
}

function decodePath(data: Buffer, what: string): { path: string; arguments: string[] } {
  const [path, ...more] = stringsIn(data, milterLimits.argumentsMax, what);
  if (path === undefined) throw new MilterWireError(`${what} without an address`);
  return { path, arguments: more };
}

function encodePath(command: { path: string; arguments: readonly string[] }): readonly Part[] {
  return [command.path, ...command.arguments].map((text) => terminated(text, 'an address'));
}

function decodeHeader(data: Buffer): CommandOf<'header'> {
  const name = stringAt(data, 0, "a field's name");
  const value = stringAt(data, name.next, "a field's value");
  return { type: 'header', name: name.value, value: value.value };
}
