/**
 * A hook's return value, checked against the shape of HookAnswer and against what its stage can do, and copied, so that
 * nothing the plugin keeps can change it afterwards. What later plugins are shown of it (result, symbols, auth) is frozen.
 */
import { answerLimits } from '../base/limits/pipeline.ts';
import type { RecipientId } from '../mail/envelope.ts';
import { BadAnswer } from './bad-answer.ts';
import { copyJson } from './copy-json.ts';
import type { HookName } from './powers.ts';
import { readActions } from './read-actions.ts';
import { copyRights, type EditRights, readEdits } from './read-edits.ts';
import { readReply } from './read-reply.ts';
import { readArray, readLine, readObject, readScore, readText } from './read-value.ts';
import type { AuthResult, HookAnswer, RecipientResult, ScoredSymbol } from './results.ts';
import type { Verdict, VerdictAction } from './verdict.ts';

interface StageRights extends EditRights {
  readonly verdict: boolean;
  /** Verdicts and edits for single recipients. */
  readonly perRecipient: boolean;
  readonly actions: boolean;
}

const none = { message: false, sender: false, recipients: false, perRecipient: false, actions: false };
const connectionStage: StageRights = { ...none, verdict: true };
const transactionStage: StageRights = {
  verdict: true,
  message: true,
  sender: true,
  recipients: true,
  perRecipient: true,
  actions: false,
};
const observingStage: StageRights = { ...none, verdict: false };

/** What an answer may hold, stage by stage. */
export const stageRights: Readonly<Record<HookName, StageRights>> = {
  connect: connectionStage,
  helo: connectionStage,
  auth: connectionStage,
  mailFrom: { ...transactionStage, recipients: false, perRecipient: false },
  rcptTo: { ...transactionStage, perRecipient: false },
  data: transactionStage,
  headers: transactionStage,
  message: transactionStage,
  // One recipient at a time: what it changes is that recipient's copy.
  deliver: { ...none, verdict: true, message: true, actions: true },
  send: { ...none, verdict: true, message: true, sender: true },
  // The message lies in its mailbox: what becomes of it there, and what goes out because of it. RFC 6785.
  moved: { ...observingStage, actions: true },
  close: observingStage,
};

const answerKeys = [
  'verdict',
  'edits',
  'recipients',
  'result',
  'score',
  'symbols',
  'auth',
  'actions',
] as const;
const nothing: HookAnswer = Object.freeze({});

/**
 * @param recipients the ids the answer may name
 * @throws BadAnswer saying what is wrong, and where
 */
export function readAnswer(
  value: unknown,
  stage: HookName,
  recipients: readonly { id: RecipientId }[],
): HookAnswer {
  if (value === undefined) return nothing;
  if (typeof value === 'object' && value !== null && 'action' in value) {
    return { verdict: readVerdict(value, 'verdict', stage) };
  }
  const answer = readObject(value, 'the answer', answerKeys);
  const rights = stageRights[stage];
  return {
    ...(answer.verdict !== undefined && { verdict: readVerdict(answer.verdict, 'verdict', stage) }),
    ...(answer.edits !== undefined && { edits: readEdits(answer.edits, 'edits', rights) }),
    ...(answer.recipients !== undefined && {
      recipients: readRecipients(answer.recipients, stage, recipients),
    }),
    ...(answer.result !== undefined && { result: copyJson(answer.result, 'result') }),
    ...readPoints(answer.score, answer.symbols),
    ...(answer.auth !== undefined && { auth: readAuth(answer.auth) }),
    ...(answer.actions !== undefined && { actions: readActionsOf(answer.actions, rights) }),
  };
}

const verdictKeys: Readonly<Record<VerdictAction, readonly string[]>> = {
  continue: ['action'],
  accept: ['action'],
  reject: ['action', 'code', 'enhanced', 'text'],
  tempfail: ['action', 'code', 'enhanced', 'text'],
  discard: ['action', 'reason'],
  quarantine: ['action', 'reason'],
};

/** @throws BadAnswer also when the code's class and the verdict disagree: a reject must never come out as 4yz or 2yz */
function readVerdict(value: unknown, where: string, stage: HookName): Verdict {
  const action = (value as { action?: unknown } | null)?.action;
  if (typeof action !== 'string' || !Object.hasOwn(verdictKeys, action)) {
    throw new BadAnswer(`${where} is no verdict: its action is ${JSON.stringify(action) ?? 'missing'}`);
  }
  const known = action as VerdictAction;
  if (known !== 'continue' && !stageRights[stage].verdict) {
    throw new BadAnswer(`${where}: the ${stage} hook only observes, it cannot ${known}`);
  }
  const verdict = readObject(value, where, verdictKeys[known]);
  switch (known) {
    case 'continue':
    case 'accept':
      return { action: known };
    case 'reject':
    case 'tempfail':
      return { action: known, ...readReply(verdict, where, known === 'reject' ? 5 : 4) };
    case 'discard':
    case 'quarantine':
      return {
        action: known,
        reason: readText(verdict.reason, `${where}.reason`, answerLimits.replyCharactersMax),
      };
  }
}

function readRecipients(
  value: unknown,
  stage: HookName,
  recipients: readonly { id: RecipientId }[],
): Readonly<Record<RecipientId, RecipientResult>> {
  if (!stageRights[stage].perRecipient)
    throw new BadAnswer(`recipients are not possible in the ${stage} hook`);
  const result: Record<RecipientId, RecipientResult> = {};
  for (const [id, part] of Object.entries(readObject(value, 'recipients'))) {
    if (!recipients.some((recipient) => recipient.id === id)) {
      throw new BadAnswer(`recipients names "${id}", which is no recipient of this transaction`);
    }
    const { verdict, edits } = readObject(part, `recipients.${id}`, ['verdict', 'edits']);
    result[id] = {
      ...(verdict !== undefined && { verdict: readVerdict(verdict, `recipients.${id}.verdict`, stage) }),
      ...(edits !== undefined && { edits: readEdits(edits, `recipients.${id}.edits`, copyRights) }),
    };
  }
  return result;
}

/** Symbols without a score count what they add up to. */
function readPoints(score: unknown, symbols: unknown): Pick<HookAnswer, 'score' | 'symbols'> {
  if (symbols === undefined) return score === undefined ? nothing : { score: readScore(score, 'score') };
  const read = readSymbols(symbols);
  const sum = () => read.reduce((total, symbol) => total + symbol.score, 0);
  return { score: readScore(score === undefined ? sum() : score, 'score'), symbols: read };
}

function readSymbols(value: unknown): readonly ScoredSymbol[] {
  return readArray(value, 'symbols', answerLimits.symbolsMax).map((item, index) => {
    const where = `symbols[${index}]`;
    const { name, score, text } = readObject(item, where, ['name', 'score', 'text']);
    return Object.freeze({
      name: readLine(name, `${where}.name`, 200),
      score: readScore(score, `${where}.score`),
      ...(text !== undefined && { text: readText(text, `${where}.text`, answerLimits.replyCharactersMax) }),
    });
  });
}

function readAuth(value: unknown): readonly AuthResult[] {
  return readArray(value, 'auth', answerLimits.authMax).map((item, index) => {
    const where = `auth[${index}]`;
    const { method, result, reason, properties } = readObject(item, where, [
      'method',
      'result',
      'reason',
      'properties',
    ]);
    return Object.freeze({
      method: readKeyword(method, `${where}.method`),
      result: readKeyword(result, `${where}.result`),
      ...(reason !== undefined && { reason: readLine(reason, `${where}.reason`, 500) }),
      ...(properties !== undefined && { properties: readProperties(properties, where) }),
    });
  });
}

/** RFC 8601 section 2.2: Keyword, with the version that a method may carry. */
function readKeyword(value: unknown, where: string): string {
  const word = readLine(value, where, 64);
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/.test(word))
    throw new BadAnswer(`${where} "${word}" is no keyword`);
  return word;
}

function readProperties(value: unknown, where: string): Readonly<Record<string, string>> {
  const properties: Record<string, string> = {};
  for (const [name, content] of Object.entries(readObject(value, `${where}.properties`))) {
    if (!/^[a-z]+\.[A-Za-z0-9_-]+$/.test(name)) {
      throw new BadAnswer(`${where}.properties: "${name}" is not ptype.property`);
    }
    properties[name] = readLine(content, `${where}.properties.${name}`, 1000);
  }
  return Object.freeze(properties);
}

function readActionsOf(value: unknown, rights: StageRights): HookAnswer['actions'] {
  if (!rights.actions) throw new BadAnswer('actions are for the hooks deliver and moved');
  return readActions(value);
}
