/** What a system user's own rules need in his own process: his scripts, his folders, and what they remember, in his home. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../core/base/clock.ts';
import { errnoOf } from '../../../core/base/errors.ts';
import { silentLog } from '../../../core/base/log.ts';
import type { Config } from '../../../core/config/config.ts';
import { openState, type StateStore } from '../../../core/state/store.ts';
import { ActiveScripts } from '../../scripts/active-script.ts';
import type { ScriptPlace } from '../../scripts/place.ts';
import { mailboxQuestions, scriptQuestions } from '../../user-questions.ts';
import type { UserQuestions } from '../one-pipeline.ts';
import type { Account } from './account.ts';
import type { Place } from './place.ts';

export interface UserRules extends UserQuestions {
  /** To be closed. Vacation answers and duplicates are remembered from one message, and one process, to the next. */
  readonly state: StateStore;
}

export function openUserRules(account: Account, mailbox: Place, config: Config): UserRules {
  return {
    scripts: scriptQuestions(new ActiveScripts(), { sieve: scriptPlaceOf(account, config) }),
    mailboxes: mailboxQuestions(mailbox),
    state: openUserState(account),
  };
}

/** A user who has no home, or may not write there, gets mail as well, and rules that forget. */
function openUserState({ home }: Account): StateStore {
  const init = { clock: systemClock, log: silentLog };
  const directory = join(home, '.local', 'state', 'mailfilter');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error;
    return openState({ engine: 'memory', directory, ...init });
  }
  return openState({ engine: 'sqlite', directory, ...init });
}

/** What the config says of homes, else where Dovecot's Pigeonhole looks. */
function scriptPlaceOf({ home, name }: Account, { mailbox: { sieve } }: Config): ScriptPlace {
  const placed = (template: string, usual: string) =>
    template.includes('{home}')
      ? template.replaceAll('{home}', home).replaceAll('{user}', name)
      : join(home, usual);
  return { directory: placed(sieve.directory, 'sieve'), active: placed(sieve.active, '.dovecot.sieve') };
}
