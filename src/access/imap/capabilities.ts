/** The capabilities of a session at its present state: what is listed works, what does not work now is not listed. RFC 9051 section 7.2.2. */
import { imapsieveCapability } from './imapsieve.ts';
import type { Session } from './session.ts';

const always = ['IMAP4rev1', 'IMAP4rev2', 'ENABLE', 'ID', 'LITERAL+', 'SASL-IR'];

const afterLogin = [
  'ACL',
  'RIGHTS=tekx',
  'BINARY',
  'CATENATE',
  'CHILDREN',
  'CONDSTORE',
  'CONTEXT=SEARCH',
  'CONTEXT=SORT',
  'CREATE-SPECIAL-USE',
  'ESEARCH',
  'ESORT',
  'IDLE',
  'INPROGRESS',
  'LIST-EXTENDED',
  'LIST-METADATA',
  'LIST-MYRIGHTS',
  'LIST-STATUS',
  'METADATA',
  'MOVE',
  'MULTIAPPEND',
  'MULTISEARCH',
  'NAMESPACE',
  'NOTIFY',
  'OBJECTID',
  'PARTIAL',
  'PREVIEW',
  'QRESYNC',
  'QUOTA',
  'QUOTA=RES-STORAGE',
  'REPLACE',
  'SAVEDATE',
  'SEARCH=FUZZY',
  'SEARCHRES',
  'SORT',
  'SORT=DISPLAY',
  'SPECIAL-USE',
  'STATUS=SIZE',
  'THREAD=ORDEREDSUBJECT',
  'THREAD=REFERENCES',
  'THREAD=REFS',
  'UIDBATCHES',
  'UIDONLY',
  'UIDPLUS',
  'UNAUTHENTICATE',
  'UNSELECT',
  'UTF8=ACCEPT',
  'WITHIN',
];

/** With spaces between them. */
export function capabilities(session: Session): string {
  return [...always, ...(session.hasAccount ? whenLoggedIn(session) : beforeLogin(session))].join(' ');
}

function beforeLogin(session: Session): string[] {
  const { wire, house, listener, login } = session;
  const found: string[] = [];
  if (!wire.tls && house.tls && listener.tls === 'starttls') found.push('STARTTLS');
  // RFC 9051 section 6.2.3: LOGIN where it would be refused is not to be tried.
  if (!login.allowed) found.push('LOGINDISABLED');
  return [...found, ...login.mechanisms.map((mechanism) => `AUTH=${mechanism}`)];
}

function whenLoggedIn(session: Session): string[] {
  const found = [...afterLogin, `APPENDLIMIT=${session.house.config().limits.messageBytesMax}`];
  const imapsieve = imapsieveCapability(session.house);
  if (imapsieve !== undefined) found.push(imapsieve);
  if (!session.isCompressed) found.push('COMPRESS=DEFLATE');
  return found;
}
