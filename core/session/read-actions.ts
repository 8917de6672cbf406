/** The delivery actions of a plugin's answer, checked and copied. */
import { answerLimits } from '../base/limits/pipeline.ts';
import { stateKeyBytesMax } from '../base/limits/state.ts';
import type { DeliverBy, DsnNotify } from '../mail/envelope.ts';
import { BadAnswer } from './bad-answer.ts';
import { copyJson } from './copy-json.ts';
import type { Action, ActionType, DsnWishes, OnceKey } from './plan.ts';
import { copyRights, readEdits } from './read-edits.ts';
import { readReply } from './read-reply.ts';
import { readArray, readLine, readNumber, readObject, readText } from './read-value.ts';

type Fields = Readonly<Record<string, unknown>>;

const onceKeys = ['key', 'seconds'];

/** How each action is read, and the keys it may have besides `type`. */
const readers: {
  readonly [Type in ActionType]: {
    readonly keys: readonly string[];
    read(action: Fields, where: string): Omit<Extract<Action, { type: Type }>, 'type'>;
  };
} = {
  store: {
    keys: ['mailbox', 'flags', 'create', 'internalDate', 'edits', 'format', 'path', 'message', 'implicit'],
    read: (action, where) => ({
      mailbox: readLine(action.mailbox, `${where}.mailbox`, 1000),
      ...(action.flags !== undefined && {
        flags: readArray(action.flags, `${where}.flags`, 100).map((flag) =>
          readLine(flag, `${where}.flags`, 100),
        ),
      }),
      ...(action.create !== undefined && { create: readFlag(action.create, `${where}.create`) }),
      ...(action.internalDate !== undefined && {
        internalDate: readNumber(action.internalDate, `${where}.internalDate`, 0),
      }),
      ...readCopyEdits(action, where),
      ...(action.format !== undefined && { format: readFormat(action.format, where) }),
      ...(action.path !== undefined && { path: readLine(action.path, `${where}.path`, 4096) }),
      ...(action.message !== undefined && { message: readBytes(action.message, `${where}.message`) }),
      ...(action.implicit !== undefined && { implicit: readFlag(action.implicit, `${where}.implicit`) }),
    }),
  },
  keepIn: {
    keys: ['mailbox', 'create'],
    read: (action, where) => ({
      mailbox: readLine(action.mailbox, `${where}.mailbox`, 1000),
      ...(action.create !== undefined && { create: readFlag(action.create, `${where}.create`) }),
    }),
  },
  redirect: {
    keys: ['address', 'edits', 'notify', 'ret', 'envid', 'deliverBy'],
    read: (action, where) => ({
      address: readLine(action.address, `${where}.address`, 1000),
      ...readCopyEdits(action, where),
      ...readDsnWishes(action, where),
    }),
  },
  reply: {
    keys: ['sender', 'recipients', 'message', 'once'],
    read: (action, where) => ({
      sender: readLine(action.sender, `${where}.sender`, 1000),
      recipients: readArray(action.recipients, `${where}.recipients`, 100).map((address) =>
        readLine(address, `${where}.recipients`, 1000),
      ),
      message: readBytes(action.message, `${where}.message`),
      ...(action.once !== undefined && {
        once: readOnceKey(readObject(action.once, `${where}.once`, onceKeys), `${where}.once`),
      }),
    }),
  },
  remember: { keys: onceKeys, read: readOnceKey },
  notify: {
    keys: ['method', 'parameters'],
    read: (action, where) => ({
      method: readLine(action.method, `${where}.method`, 2000),
      parameters: copyJson(action.parameters ?? null, `${where}.parameters`),
    }),
  },
  discard: {
    keys: ['reason'],
    read: (action, where) => ({
      reason: readText(action.reason, `${where}.reason`, answerLimits.replyCharactersMax),
    }),
  },
  refuse: {
    keys: ['code', 'enhanced', 'text', 'notification'],
    read: (action, where) => ({
      ...readReply(action, where),
      ...(action.notification !== undefined && {
        notification: readBytes(action.notification, `${where}.notification`),
      }),
    }),
  },
  run: {
    keys: ['argv', 'edits', 'ofSite'],
    read: (action, where) => ({
      argv: readArgv(action.argv, `${where}.argv`),
      ...readCopyEdits(action, where),
      ...(action.ofSite !== undefined && { ofSite: readOfSite(action.ofSite, `${where}.ofSite`) }),
    }),
  },
};

/** @throws BadAnswer naming the action and the field */
export function readActions(value: unknown): readonly Action[] {
  const items = readArray(value, 'actions', answerLimits.actionsMax);
  // Mail that nothing is done with would vanish behind its 250 with no reason told.
  if (items.length === 0) throw new BadAnswer('actions is empty: use discard to drop the message');
  return items.map((item, index) => {
    const where = `actions[${index}]`;
    const type = (item as { type?: unknown } | null)?.type;
    if (typeof type !== 'string' || !Object.hasOwn(readers, type)) {
      throw new BadAnswer(`${where} is no action: its type is ${JSON.stringify(type) ?? 'missing'}`);
    }
    const { keys, read } = readers[type as ActionType];
    return { type, ...read(readObject(item, where, ['type', ...keys]), where) } as Action;
  });
}

function readCopyEdits(
  action: Fields,
  where: string,
): { edits?: Extract<Action, { type: 'store' }>['edits'] } {
  return action.edits === undefined ? {} : { edits: readEdits(action.edits, `${where}.edits`, copyRights) };
}

const notifyWords: readonly unknown[] = ['never', 'success', 'failure', 'delay'] satisfies DsnNotify[];

function readDsnWishes({ notify, ret, envid, deliverBy }: Fields, where: string): DsnWishes {
  if (ret !== undefined && ret !== 'full' && ret !== 'hdrs')
    throw new BadAnswer(`${where}.ret is not full or hdrs`);
  const words = notify === undefined ? [] : readArray(notify, `${where}.notify`, notifyWords.length);
  if (!words.every((word) => notifyWords.includes(word)) || (words.includes('never') && words.length > 1))
    throw new BadAnswer(`${where}.notify is neither never alone nor of success, failure and delay`);
  return {
    ...(notify !== undefined && { notify: words as DsnNotify[] }),
    ...(ret !== undefined && { ret }),
    ...(envid !== undefined && { envid: readLine(envid, `${where}.envid`, envidCharactersMax) }),
    ...(deliverBy !== undefined && { deliverBy: readDeliverBy(deliverBy, `${where}.deliverBy`) }),
  };
}

function readDeliverBy(value: unknown, where: string): DeliverBy {
  const { until, mode, trace } = readObject(value, where, ['until', 'mode', 'trace']);
  if (typeof until !== 'number' || !Number.isSafeInteger(until))
    throw new BadAnswer(`${where}.until is not in epoch milliseconds`);
  if (mode !== 'return' && mode !== 'notify') throw new BadAnswer(`${where}.mode is not return or notify`);
  if (typeof trace !== 'boolean') throw new BadAnswer(`${where}.trace is not true or false`);
  return { until, mode, trace };
}

/** RFC 3461 section 4.4. */
const envidCharactersMax = 100;

function readOfSite(value: unknown, where: string): { onFailure: 'keep' | 'ignore' } {
  const { onFailure } = readObject(value, where, ['onFailure']);
  if (onFailure !== 'keep' && onFailure !== 'ignore')
    throw new BadAnswer(`${where}.onFailure is not keep or ignore`);
  return { onFailure };
}

function readOnceKey({ key, seconds }: Fields, where: string): OnceKey {
  return {
    key: readText(key, `${where}.key`, stateKeyBytesMax),
    seconds: readNumber(seconds, `${where}.seconds`, 1),
  };
}

function readFlag(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw new BadAnswer(`${where} is not true or false`);
  return value;
}

function readFormat(value: unknown, where: string): 'maildir' | 'mbox' | 'mh' {
  if (value !== 'maildir' && value !== 'mbox' && value !== 'mh') {
    throw new BadAnswer(`${where}.format is not maildir, mbox or mh`);
  }
  return value;
}

function readBytes(value: unknown, where: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new BadAnswer(`${where} is no Uint8Array`);
  return new Uint8Array(value);
}

function readArgv(value: unknown, where: string): readonly string[] {
  const argv = readArray(value, where, 1000).map((word) => readText(word, where, 100_000));
  if (argv.length === 0 || argv.some((word) => word.includes('\0'))) {
    throw new BadAnswer(`${where} is empty or holds NUL`);
  }
  return argv;
}
