/** mboxmetadata and servermetadata: annotations of mailboxes and of the server. RFC 5490 sections 3.3 to 4.4, RFC 5464. */
import type { Run } from '../run.ts';
import type { Extension, TestSpec } from '../spec.ts';
import { shown } from '../text.ts';
import { Values } from '../values.ts';

function mailboxValue(run: Run, mailbox: string, annotation: string): string | undefined {
  return run.ask(`metadata ${mailbox}\n${annotation.toLowerCase()}`, () =>
    run.environment.metadata?.(mailbox, annotation),
  );
}

function serverValue(run: Run, annotation: string): string | undefined {
  return run.ask(`server metadata ${annotation.toLowerCase()}`, () =>
    run.environment.serverMetadata?.(annotation),
  );
}

const annotation = { name: 'annotation name', type: 'string' } as const;
const annotations = { name: 'annotation names', type: 'string-list' } as const;
const mailboxName = { name: 'mailbox', type: 'string' } as const;
const keys = { name: 'key list', type: 'string-list' } as const;

/** RFC 5464 section 3.2: `/private/` or `/shared/`, no wildcards, no empty part. */
function checkName(use: Parameters<TestSpec['compile']>[0], index: number): void {
  for (const name of use.texts(index).constant ?? []) {
    const right = /^\/(?:private|shared)(?:\/[^/*%\x00-\x1f]+)+$/i.test(name);
    if (!right)
      use.compiler.problems.warning(
        use.at(index),
        'no-effect',
        `${use.title}: specified annotation name '${shown(name)}' is invalid`,
      );
  }
}

const metadata: TestSpec = {
  name: 'metadata',
  kind: 'test',
  matches: true,
  positional: [mailboxName, annotation, keys],
  compile(use) {
    const mailbox = use.text(0);
    const name = use.text(1);
    checkName(use, 1);
    const match = use.match(2);
    return (run) => match(run, values(mailboxValue(run, mailbox.value(run), name.value(run))));
  },
};

const metadataexists: TestSpec = {
  name: 'metadataexists',
  kind: 'test',
  positional: [mailboxName, annotations],
  compile(use) {
    const mailbox = use.text(0);
    const names = use.texts(1);
    checkName(use, 1);
    return (run) =>
      names.values(run).every((name) => mailboxValue(run, mailbox.value(run), name) !== undefined);
  },
};

const servermetadataTest: TestSpec = {
  name: 'servermetadata',
  kind: 'test',
  matches: true,
  positional: [annotation, keys],
  compile(use) {
    const name = use.text(0);
    checkName(use, 0);
    const match = use.match(1);
    return (run) => match(run, values(serverValue(run, name.value(run))));
  },
};

const servermetadataexists: TestSpec = {
  name: 'servermetadataexists',
  kind: 'test',
  positional: [annotations],
  compile(use) {
    const names = use.texts(0);
    checkName(use, 0);
    return (run) => names.values(run).every((name) => serverValue(run, name) !== undefined);
  },
};

function values(value: string | undefined): Values {
  return new Values(value === undefined ? [] : [value]);
}

export const mboxmetadata: Extension = { name: 'mboxmetadata', specs: [metadata, metadataexists] };
export const servermetadata: Extension = {
  name: 'servermetadata',
  specs: [servermetadataTest, servermetadataexists],
};
