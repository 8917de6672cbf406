/** What rules ask about the user they run for: scripts, folders, annotations. Answered alike in the server and in the user's own process. */
import { systemClock as clock } from '../core/base/clock.ts';
import type { PluginMailboxes, PluginScripts, RuleLanguage } from '../core/plugin/hooks.ts';
import { Annotations, annotationsFile } from './mailbox/annotations.ts';
import { folderExists, folderWithId, listFolders, type MailboxPlace } from './mailbox/list.ts';
import type { ActiveScripts } from './scripts/active-script.ts';
import type { ScriptPlace } from './scripts/place.ts';
import { noteForUser } from './scripts/user-log.ts';

/** @param active remembers scripts from one message to the next */
export function scriptQuestions(active: ActiveScripts, place: ScriptPlace): PluginScripts {
  return {
    load: async (language: RuleLanguage, name?: string) => {
      if (language !== 'sieve') return undefined;
      return name === undefined ? active.load(place) : active.loadNamed(place, name);
    },
    note: async (language, text) => {
      if (language === 'sieve') await noteForUser(place, text, clock.now());
    },
  };
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
