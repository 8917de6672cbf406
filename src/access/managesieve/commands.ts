/** The commands of ManageSieve, by name: what each takes, and who may say it. RFC 5804 section 2. */
import { authenticate, unauthenticate } from './authenticate.ts';
import { capabilities } from './capability.ts';
import { checkScript } from './check-script.ts';
import type { Argument } from './parse.ts';
import { scriptRulesOf } from './script-rules.ts';
import type { Owner, Session } from './session.ts';
import { starttls } from './starttls.ts';
import { formatString, type Response } from './write.ts';

export interface Command {
  /** The kinds of its arguments, and how many of them, from the end, may be missing. */
  readonly parameters: readonly Argument['kind'][];
  readonly optional?: number;
  /** For those who say it wrong. */
  readonly usage: string;
  readonly needsLogin?: true;
  /** Undefined where it has answered by itself. Rejects with an OperationalError whose `clientText` is the answer. */
  run(session: Session, given: readonly Argument[]): Promise<Response | undefined>;
}

const ok: Response = { status: 'OK' };

export const commands: Readonly<Record<string, Command | undefined>> = {
  AUTHENTICATE: {
    parameters: ['string', 'string'],
    optional: 1,
    usage: 'mechanism [response]',
    run: authenticate,
  },
  UNAUTHENTICATE: { parameters: [], usage: '', needsLogin: true, run: unauthenticate },
  STARTTLS: { parameters: [], usage: '', run: starttls },
  LOGOUT: { parameters: [], usage: '', run: async () => ({ status: 'OK', text: 'goodbye' }) },
  CAPABILITY: {
    parameters: [],
    usage: '',
    async run(session) {
      session.wire.write(capabilities(session));
      return ok;
    },
  },
  NOOP: {
    parameters: ['string'],
    optional: 1,
    usage: '[tag]',
    run: async (_, [tag]) => (tag === undefined ? ok : { ...ok, code: `TAG ${formatString(textOf(tag))}` }),
  },
  LISTSCRIPTS: {
    ...{ parameters: [], usage: '', needsLogin: true },
    run: withScripts(async ({ scripts }, _, session) => {
      for (const { name, active } of await scripts.list()) {
        session.wire.write(`${formatString(name)}${active ? ' ACTIVE' : ''}\r\n`);
      }
      return ok;
    }),
  },
  GETSCRIPT: {
    ...{ parameters: ['string'], usage: 'name', needsLogin: true },
    run: withScripts(async ({ scripts }, [name], session) => {
      const content = await scripts.read(textOf(name));
      session.wire.write(`{${content.length}}\r\n`);
      session.wire.write(content);
      session.wire.write('\r\n');
      return ok;
    }),
  },
  HAVESPACE: {
    ...{ parameters: ['string', 'number'], usage: 'name size', needsLogin: true },
    run: withScripts(async ({ scripts }, [name, size]) => {
      await scripts.assertRoom(textOf(name), size?.kind === 'number' ? size.value : 0);
      return ok;
    }),
  },
  CHECKSCRIPT: {
    ...{ parameters: ['string'], usage: 'script', needsLogin: true },
    run: withScripts(async ({ folders }, [content], { house }) =>
      checkScript('script', bytesOf(content), await folders(), scriptRulesOf(house.config())),
    ),
  },
  PUTSCRIPT: {
    ...{ parameters: ['string', 'string'], usage: 'name script', needsLogin: true },
    run: withScripts(async ({ scripts, folders }, [name, content], { house }) => {
      const source = bytesOf(content);
      // Room first: what does not fit is not worth a compilation. RFC 5804 section 2.6.
      await scripts.assertRoom(textOf(name), source.length);
      const checked = checkScript(textOf(name), source, await folders(), scriptRulesOf(house.config()));
      if (checked.status === 'OK') await scripts.write(textOf(name), source);
      return checked;
    }),
  },
  SETACTIVE: {
    ...{ parameters: ['string'], usage: 'name', needsLogin: true },
    run: withScripts(async ({ scripts }, [name]) => {
      await scripts.activate(textOf(name));
      return ok;
    }),
  },
  DELETESCRIPT: {
    ...{ parameters: ['string'], usage: 'name', needsLogin: true },
    run: withScripts(async ({ scripts }, [name]) => {
      await scripts.delete(textOf(name));
      return ok;
    }),
  },
  RENAMESCRIPT: {
    ...{ parameters: ['string', 'string'], usage: 'old-name new-name', needsLogin: true },
    run: withScripts(async ({ scripts }, [from, to]) => {
      await scripts.rename(textOf(from), textOf(to));
      return ok;
    }),
  },
};

type RunWithScripts = (owner: Owner, given: readonly Argument[], session: Session) => Promise<Response>;

/** A session without an owner never gets here: `needsLogin`. */
function withScripts(run: RunWithScripts): Command['run'] {
  return (session, given) => run(session.owner!, given, session);
}

/** The parameters of the command have been held against its kinds. */
function bytesOf(argument: Argument | undefined): Buffer {
  return argument?.kind === 'string' ? argument.bytes : Buffer.alloc(0);
}

function textOf(argument: Argument | undefined): string {
  return bytesOf(argument).toString('utf8');
}
