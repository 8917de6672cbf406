/** Scores mail by what users and operator taught: Bayes after Robinson and Fisher, for the site and for each user. */
import { definePlugin, type HookAnswer, type Json, type Results } from 'mailfilter/plugin';
import type { Clue } from '../../rules/bayes/classify.ts';
import { judge, type Kind, learn, site } from '../../rules/bayes/memory.ts';
import { bayesOptions } from '../../rules/bayes/options.ts';
import { tokensOf } from '../../rules/bayes/tokens.ts';
import { symbolOf } from './symbols.ts';

export default definePlugin({
  name: 'bayes',
  kind: 'score',
  reads: ['header:*', 'body'],
  options: bayesOptions,
  hooks: {
    async message({ message, envelope, results }, { options, state, log }): Promise<HookAnswer> {
      const tokens = await tokensOf(message);
      if (tokens === undefined) return { result: { scanned: false, reason: 'unreadable' } };
      const owners = [site, ...soleUser(envelope.recipients)];
      const { taught, judgement } = await judge(state, owners, tokens, options);
      const lesson = lessonOf(results, options.lessonsFrom);
      if (lesson !== undefined) {
        const { id, learnt } = await learn(state, site, lesson, tokens, options.expireDays);
        if (learnt) log('learnt', { kind: lesson, owner: site, id });
      }
      if (judgement === undefined) {
        log('untaught', { ...taught, minimum: options.minimum });
        return { result: { scanned: false, reason: 'untaught', ...taught } };
      }
      const probability = Math.round(judgement.probability * 10_000) / 10_000;
      log('judged', { probability, by: strongest(judgement.clues) });
      return {
        symbols: [symbolOf(judgement.probability, options.factor)],
        result: { scanned: true, probability, clues: judgement.clues.length },
      };
    },
    async moved({ message, user, from, to }, { options, state, log }) {
      const kind = lessonIn(from, to, options);
      if (kind === undefined) return undefined;
      const tokens = await tokensOf(message);
      if (tokens === undefined) return undefined;
      const owners = { user: [user], site: [site], both: [user, site] }[options.moves as string] ?? [];
      for (const owner of owners) {
        const { id, learnt } = await learn(state, owner, kind, tokens, options.expireDays);
        if (learnt) log('learnt', { kind, owner, id });
      }
      return undefined;
    },
  },
});

/** What a plugin that knows, as a spamtrap does, says of the message. */
function lessonOf(results: Results, teachers: readonly string[]): Kind | undefined {
  for (const teacher of teachers) {
    const { lesson } = (results[teacher] ?? {}) as { lesson?: Json };
    if (lesson === 'spam' || lesson === 'ham') return lesson;
  }
  return undefined;
}

/** For those who ask why. */
const cluesTold = 8;

function strongest(clues: readonly Clue[]): string {
  const told = clues.slice(0, cluesTold);
  return told.map(({ token, probability }) => `${token} ${probability.toFixed(2)}`).join(', ');
}

/** The database of a user has a say where the message is for that user alone: it has one score. */
function soleUser(recipients: readonly { readonly address: string }[]): string[] {
  const [first] = recipients;
  return recipients.length === 1 && first ? [first.address.replace(/\+[^@]*(?=@)/, '').toLowerCase()] : [];
}

interface Folders {
  readonly junkFolders: readonly string[];
  readonly trashFolders: readonly string[];
}

/** Into Junk is spam; out of it is ham, unless it is thrown away. */
function lessonIn(from: string, to: string, { junkFolders, trashFolders }: Folders): Kind | undefined {
  const among = (folders: readonly string[], name: string) =>
    folders.some((folder) => folder.toLowerCase() === name.toLowerCase());
  const [fromJunk, toJunk] = [among(junkFolders, from), among(junkFolders, to)];
  if (fromJunk === toJunk) return undefined;
  if (toJunk) return 'spam';
  return among(trashFolders, to) ? undefined : 'ham';
}
