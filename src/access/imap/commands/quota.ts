/** GETQUOTA, GETQUOTAROOT and SETQUOTA. RFC 9208. */
import { command } from '../command.ts';
import type { Cursor } from '../parse/cursor.ts';
import { no } from '../refusal.ts';
import type { Session } from '../session.ts';

/** All folders of a user share one. */
const root = '"user"';

function name(input: Cursor): string {
  input.space();
  return input.astring();
}

export const getquota = command({
  name: 'GETQUOTA',
  in: 'authenticated',
  parse: name,
  async run(session, asked) {
    if (asked !== 'user') throw no('there is no such quota root', 'NONEXISTENT');
    await tellQuota(session);
  },
});

export const getquotaroot = command({
  name: 'GETQUOTAROOT',
  in: 'authenticated',
  parse: name,
  async run(session, mailbox) {
    const folder = session.folderName(mailbox);
    session.untagged(`QUOTAROOT ${session.mailboxText(folder)} ${root}`);
    await tellQuota(session);
  },
});

export const setquota = command({
  name: 'SETQUOTA',
  in: 'authenticated',
  parse(input) {
    input.space();
    input.astring();
    input.space();
    input.list(
      () => {
        input.atom();
        input.space();
        input.modseq();
      },
      { empty: true },
    );
  },
  run() {
    throw no('quotas are set in the users file', 'NOPERM');
  },
});

/** Units of 1024 octets. RFC 9208 section 5.1. */
async function tellQuota(session: Session): Promise<void> {
  const { usedBytes, limitBytes } = await session.account.quota();
  const storage =
    limitBytes > 0 ? `STORAGE ${Math.ceil(usedBytes / 1024)} ${Math.floor(limitBytes / 1024)}` : '';
  session.untagged(`QUOTA ${root} (${storage})`);
}
