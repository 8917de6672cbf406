/** The language of test scripts: the extension vnd.dovecot.testsuite. */
import { runBlock } from '../compiler.ts';
import { indexChoice, indexTags } from '../extensions/index.ts';
import { Fault } from '../fault.ts';
import type { Run } from '../run.ts';
import type { ActionSpec, Extension, Step, TagSpec, TestSpec } from '../spec.ts';
import { octetsText, shown, textOctets } from '../text.ts';
import type { Use } from '../use.ts';
import { Values } from '../values.ts';
import type { Suite } from './suite.ts';

function suiteOf(run: Run): Suite {
  return run.kept.get('testsuite') as Suite;
}

/** Commands without more to them: the strings given, and what is done. */
function command(
  name: string,
  names: readonly string[],
  act: (suite: Suite, texts: readonly string[], run: Run, use: Use) => void,
  tags: readonly TagSpec[] = [],
): ActionSpec {
  return {
    name,
    kind: 'command',
    tags,
    positional: names.map((each) => ({ name: each, type: 'string' })),
    compile(use) {
      const texts = names.map((_, index) => use.text(index));
      return (run) =>
        act(
          suiteOf(run),
          texts.map((text) => text.value(run)),
          run,
          use,
        );
    },
  };
}

const test: ActionSpec = {
  name: 'test',
  kind: 'command',
  block: true,
  positional: [{ name: 'name', type: 'string' }],
  compile(use): Step {
    const name = use.text(0);
    const { line } = use.compiler.place(use.node.at);
    const steps = use.compiler.block(use.node.block ?? []);
    return (run) => {
      const suite = suiteOf(run);
      suite.failure = undefined;
      suite.testing = true;
      try {
        runBlock(run, steps);
      } catch (reason) {
        if (!(reason instanceof Fault)) throw reason;
        suite.failure ??= `line ${run.place.line}: ${reason.message}`;
      }
      // What ends a test ends that test alone.
      run.exit = undefined;
      suite.testing = false;
      suite.results.push({
        name: name.value(run),
        line,
        ...(suite.failure !== undefined && { failure: suite.failure }),
      });
    };
  },
};

const testFail = command('test_fail', ['reason'], (suite, [reason], run) => {
  suite.failure = `line ${run.place.line}: ${reason!.trim()}`;
  run.exit = { type: 'stop' };
});

const testSet = command('test_set', ['field', 'value'], (suite, [field, value]) => {
  switch (field!.toLowerCase()) {
    case 'message':
      return suite.setMessage(textOctets(value!));
    case 'envelope.from':
      return suite.setEnvelope('from', value!);
    case 'envelope.to':
      return suite.setEnvelope('to', value!);
    case 'envelope.orig_to':
      return suite.setEnvelope('originalTo', value!);
    case 'envelope.auth':
      return suite.setEnvelope('auth', value!);
    default:
      throw new Fault(`test_set: field '${shown(field!)}' is not known`);
  }
});

const configSet = command('test_config_set', ['setting', 'value'], (suite, [setting, value]) => {
  suite.config.set(setting!.replace(/^plugin\//, ''), value!);
});
const configUnset = command('test_config_unset', ['setting'], (suite, [setting]) => {
  suite.config.delete(setting!.replace(/^plugin\//, ''));
});
const configReload = command('test_config_reload', [], (suite) => suite.refresh(), [
  { name: 'extension', parameter: 'string' },
]);

const resultReset = command('test_result_reset', [], (suite) => suite.resetResult());
const resultPrint = command('test_result_print', [], (suite, _texts, run) => {
  run.log.push(`result: ${suite.current.plan.entries.map(({ kind }) => kind).join(', ')}`);
});
const messagePrint = command('test_message_print', [], (_suite, _texts, run) => {
  run.log.push(`message: ${octetsText(run.message.whole())}`);
});
const mailboxCreate = command('test_mailbox_create', ['mailbox'], (suite, [name]) =>
  suite.store.create(name!),
);
const mailboxDelete = command('test_mailbox_delete', ['mailbox'], (suite, [name]) =>
  suite.store.delete(name!),
);
/** As older test scripts have the two. */
const mailbox: ActionSpec = {
  name: 'test_mailbox',
  kind: 'command',
  tags: [
    { name: 'create', group: "exactly ':create' or ':delete'" },
    { name: 'delete', group: "exactly ':create' or ':delete'" },
  ],
  positional: [{ name: 'mailbox', type: 'string' }],
  compile(use) {
    const name = use.text(0);
    const isDelete = use.has('delete');
    return (run) => {
      const { store } = suiteOf(run);
      if (isDelete) store.delete(name.value(run));
      else store.create(name.value(run));
    };
  },
};
/** Nothing is compiled to a file here: what is loaded is what was saved. */
const binaryLoad = command('test_binary_load', ['name'], () => {});
const binarySave = command('test_binary_save', ['name'], () => {});

const metadataSet: ActionSpec = {
  name: 'test_imap_metadata_set',
  kind: 'command',
  tags: [{ name: 'mailbox', parameter: 'string' }],
  positional: [
    { name: 'annotation', type: 'string' },
    { name: 'value', type: 'string' },
  ],
  compile(use) {
    const mailbox = use.tagText('mailbox');
    const [annotation, value] = [use.text(0), use.text(1)];
    return (run) => {
      const { store } = suiteOf(run);
      store.setAnnotation(mailbox?.value(run), annotation.value(run), value.value(run));
    };
  },
};

const messageTags: readonly TagSpec[] = [
  { name: 'smtp', group: "exactly ':smtp' or ':folder'" },
  { name: 'folder', parameter: 'string', group: "exactly ':smtp' or ':folder'" },
  { name: 'mailbox', parameter: 'string', group: "exactly ':smtp' or ':folder'" },
];

/** Makes a message that was delivered or sent the one under test; false where there is none. */
function messageLoader(use: Use): (run: Run) => boolean {
  const folder = use.tagText('folder') ?? use.tagText('mailbox');
  if (!folder && !use.has('smtp'))
    use.error('the test_message command requires either the :smtp or the :folder tag');
  const index = use.number(0);
  return (run) => {
    const suite = suiteOf(run);
    if (folder) {
      const stored = suite.store.message(folder.value(run), index);
      if (stored) suite.setMessage(stored.octets, stored.flags);
      return stored !== undefined;
    }
    const sent = suite.store.sent[index];
    if (sent) suite.setMessage(sent.octets, [], { from: `<${sent.sender}>`, to: `<${sent.recipient}>` });
    return sent !== undefined;
  };
}

const messageShape = {
  name: 'test_message',
  tags: messageTags,
  positional: [{ name: 'index', type: 'number' }],
} as const;

const messageCommand: ActionSpec = {
  ...messageShape,
  kind: 'command',
  compile(use) {
    const load = messageLoader(use);
    return (run) => {
      if (!load(run)) throw new Fault('test_message: there is no such message');
    };
  },
};
const messageTest: TestSpec = { ...messageShape, kind: 'test', compile: messageLoader };

const scriptCompile: TestSpec = {
  name: 'test_script_compile',
  kind: 'test',
  positional: [{ name: 'script', type: 'string' }],
  compile(use) {
    const script = use.text(0);
    return (run) => suiteOf(run).compile(script.value(run));
  },
};

const scriptRun: TestSpec = {
  name: 'test_script_run',
  kind: 'test',
  tags: [{ name: 'append_result' }],
  compile(use) {
    const append = use.has('append_result');
    return (run) => suiteOf(run).run(append);
  },
};

const multiscript: TestSpec = {
  name: 'test_multiscript',
  kind: 'test',
  positional: [{ name: 'scripts', type: 'string-list' }],
  compile(use) {
    const scripts = use.texts(0);
    return (run) => suiteOf(run).runSeveral(scripts.values(run));
  },
};

const resultExecute: TestSpec = {
  name: 'test_result_execute',
  kind: 'test',
  compile: () => (run) => suiteOf(run).execute(),
};

/** Tests of a list that the suite keeps. */
function listTest(name: string, list: (suite: Suite) => readonly string[]): TestSpec {
  return {
    name,
    kind: 'test',
    matches: true,
    tags: indexTags,
    positional: [{ name: 'key list', type: 'string-list' }],
    compile(use) {
      const match = use.match(0);
      const choose = indexChoice(use);
      return (run) => {
        const all = list(suiteOf(run));
        return match(run, new Values(choose ? choose(all) : all));
      };
    },
  };
}

export const testsuiteExtension: Extension = {
  name: 'vnd.dovecot.testsuite',
  internal: true,
  // `${tst.path}`: the folder of the test script, from which all names of files lead on.
  namespaces: {
    tst: (_compiler, [name, ...rest]) =>
      name === 'path' && rest.length === 0 ? { get: () => '.' } : undefined,
  },
  specs: [
    test,
    testFail,
    testSet,
    configSet,
    configUnset,
    configReload,
    resultReset,
    resultPrint,
    messagePrint,
    mailbox,
    mailboxCreate,
    mailboxDelete,
    binaryLoad,
    binarySave,
    metadataSet,
    messageCommand,
    messageTest,
    scriptCompile,
    scriptRun,
    multiscript,
    resultExecute,
    listTest('test_error', (suite) => suite.errors),
    listTest('test_result_action', (suite) => suite.current.plan.entries.map(({ kind }) => kind)),
  ],
};
