/** What rules ask about the user they run for: scripts, folders, annotations. Answered alike in the server and in the user's own process. */
import { systemClock as clock } from '../core/base/clock.ts';
import type { Config } from '../core/config/config.ts';
import type { PluginMailboxes, PluginScripts, RuleLanguage } from '../core/plugin/hooks.ts';
import { Annotations, annotationsFile } from './mailbox/annotations.ts';
import { folderExists, folderWithId, listFolders, type MailboxPlace } from './mailbox/list.ts';
import { mailboxPath } from './mailbox/locate.ts';
import type { ActiveScripts } from './scripts/active-script.ts';
import { type ScriptPlace, scriptPlace } from './scripts/place.ts';
import { noteForUser } from './scripts/user-log.ts';

/** Where one user's rules lie. */
export interface RulePlaces {
  readonly sieve: ScriptPlace;
  /** Absent where nothing but the user's own process runs it. */
  readonly rcfile?: string;
}

/** Of a user of the server. @throws OperationalError `mailbox-path` when a part of the address cannot be part of a path */
export function rulePlaces({ sieve, procmail }: Config['mailbox'], user: string): RulePlaces {
  return { sieve: scriptPlace(sieve, user), rcfile: mailboxPath(procmail.rcfile, user) };
}

/** @param active remembers scripts from one message to the next */
export function scriptQuestions(active: ActiveScripts, { sieve, rcfile }: RulePlaces): PluginScripts {
  return {
    load: async (language: RuleLanguage, name?: string) => {
      if (language === 'procmail' && rcfile !== undefined) return active.loadRcfile(rcfile, name);
      if (language !== 'sieve') return undefined;
      return name === undefined ? active.load(sieve) : active.loadNamed(sieve, name);
    },
    note: async (language, text) => {
      if (language === 'sieve') await noteForUser(sieve.active, text, clock.now());
      else if (language === 'procmail' && rcfile !== undefined) await noteForUser(rcfile, text, clock.now());
    },
  };
}

/** What `load(language)` would answer with, as far as `active` has seen it; '' for none. */
export function scriptVersion(
  active: ActiveScripts,
  { sieve, rcfile }: RulePlaces,
  language: RuleLanguage,
): string | undefined {
  if (language === 'sieve') return active.version(sieve.active);
  return language === 'procmail' && rcfile !== undefined ? active.version(rcfile) : '';
}

export function mailboxQuestions(place: MailboxPlace): PluginMailboxes {
  const annotations = () => new Annotations(annotationsFile(place));
  return {
    exists: async (folder) => folderExists(place, folder),
    list: () => listFolders(place),
    metadata: async (folder, entry) => annotations().metadata(folder).get(entry.toLowerCase()),
    withId: (id) => folderWithId(place, id),
    specialUse: async (attribute) => {
      const wanted = attribute.toLowerCase();
      const uses = [...annotations().specialUses()];
      const found = uses.filter(([, each]) => each.some((use) => use.toLowerCase() === wanted));
      return found.map(([folder]) => folder).filter((folder) => folderExists(place, folder));
    },
  };
}
