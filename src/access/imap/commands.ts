/** All commands of IMAP by name. */
import type { Command } from './command.ts';
import { deleteacl, getacl, listrights, myrights, setacl } from './commands/acl.ts';
import { append } from './commands/append.ts';
import { authenticate } from './commands/authenticate.ts';
import { cancelupdate } from './commands/cancelupdate.ts';
import { capability } from './commands/capability.ts';
import { close, unselect } from './commands/close.ts';
import { compress } from './commands/compress.ts';
import { copy, move } from './commands/copy.ts';
import { create, deleteMailbox, rename } from './commands/create.ts';
import { enable } from './commands/enable.ts';
import { esearch } from './commands/esearch.ts';
import { expunge } from './commands/expunge.ts';
import { fetch } from './commands/fetch.ts';
import { id } from './commands/id.ts';
import { idle } from './commands/idle.ts';
import { list } from './commands/list.ts';
import { login } from './commands/login.ts';
import { logout } from './commands/logout.ts';
import { lsub } from './commands/lsub.ts';
import { getmetadata, setmetadata } from './commands/metadata.ts';
import { namespace } from './commands/namespace.ts';
import { check, noop } from './commands/noop.ts';
import { notify } from './commands/notify.ts';
import { getquota, getquotaroot, setquota } from './commands/quota.ts';
import { replace } from './commands/replace.ts';
import { search } from './commands/search.ts';
import { examine, select } from './commands/select.ts';
import { sort } from './commands/sort.ts';
import { starttls } from './commands/starttls.ts';
import { status } from './commands/status.ts';
import { store } from './commands/store.ts';
import { subscribe, unsubscribe } from './commands/subscribe.ts';
import { thread } from './commands/thread.ts';
import { uidbatches } from './commands/uidbatches.ts';
import { unauthenticate } from './commands/unauthenticate.ts';

const all: readonly Command[] = [
  append,
  authenticate,
  cancelupdate,
  capability,
  check,
  close,
  compress,
  copy,
  create,
  deleteMailbox,
  deleteacl,
  enable,
  esearch,
  examine,
  expunge,
  fetch,
  getacl,
  getmetadata,
  getquota,
  getquotaroot,
  id,
  idle,
  list,
  listrights,
  login,
  logout,
  lsub,
  move,
  myrights,
  namespace,
  noop,
  notify,
  rename,
  replace,
  search,
  select,
  setacl,
  setmetadata,
  setquota,
  sort,
  starttls,
  status,
  store,
  subscribe,
  thread,
  uidbatches,
  unauthenticate,
  unselect,
  unsubscribe,
];

/** Names in upper case. */
export const commands: ReadonlyMap<string, Command> = new Map(all.map((each) => [each.name, each]));
