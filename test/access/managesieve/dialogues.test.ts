/** ManageSieve in conversation. RFC 5804. */
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { PipelineEntry } from '../../../core/plugin/entry.ts';
import { programExtensions, sieveExtensions } from '../../../rules/sieve/index.ts';
import { playDialogue } from './dialogue.ts';

test('scripts.dialogue', (t) =>
  playDialogue(t, readFileSync(new URL('scripts.dialogue', import.meta.url), 'utf8'), {}));

test('STARTTLS: no password before it, capabilities by themselves after it', (t) =>
  playDialogue(
    t,
    `== STARTTLS
S: "IMPLEMENTATION" "mailfilter"
S: "SIEVE" *
S: "SASL" ""
S: "NOTIFY" *
S: "MAXREDIRECTS" *
S: "UNAUTHENTICATE"
S: "VERSION" *
S: "STARTTLS"
S: OK *
C: AUTHENTICATE "PLAIN" "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ="
S: NO (ENCRYPT-NEEDED) "*"
C: STARTTLS
S: OK "begin TLS now"
C! tls
S: "IMPLEMENTATION" "mailfilter"
S: "SIEVE" *
S: "SASL" "PLAIN*
S: "NOTIFY" *
S: "MAXREDIRECTS" *
S: "UNAUTHENTICATE"
S: "VERSION" *
S: OK "TLS is in use"
C: STARTTLS
S: NO "TLS is in use"
C: AUTHENTICATE "PLAIN" "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ="
S: OK "logged in"
`,
    { listener: { tls: 'starttls', authWithoutTls: false } },
  ));

test('the last of too many failures is told so and ends', (t) =>
  playDialogue(
    t,
    `== failures
S: "IMPLEMENTATION" "mailfilter"
S: "SIEVE" *
S: "SASL" *
S: "NOTIFY" *
S: "MAXREDIRECTS" *
S: "UNAUTHENTICATE"
S: "VERSION" *
S: OK *
C: AUTHENTICATE "PLAIN" "AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw=="
S: NO *
C: AUTHENTICATE "PLAIN" "AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw=="
S: BYE "authentication failed"
S! closed
`,
    { limits: { authFailuresMax: 2 } },
  ));

test('programs and redirects are offered as the plugin is set', async (t) => {
  const sieve = (options: PipelineEntry['options']): PipelineEntry => ({
    ...{ plugin: 'sieve', options, onFailure: 'tempfail', timeoutSeconds: 30, shadow: false },
  });
  const script = 'require "vnd.dovecot.pipe"; pipe "x";';
  const uploads = (answer: string) => `C: AUTHENTICATE "PLAIN" "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ="
S: OK *
C: CHECKSCRIPT "${script.replaceAll('"', '\\"')}"
S: ${answer}
`;
  const greeting = (extensions: string, redirects: number) => `== programs
S: "IMPLEMENTATION" "mailfilter"
S: "SIEVE" "${extensions}"
S: "SASL" *
S: "NOTIFY" *
S: "MAXREDIRECTS" "${redirects}"
S: "UNAUTHENTICATE"
S: "VERSION" *
S: OK *
`;
  const without = sieveExtensions.filter((name) => !programExtensions.includes(name));
  const play = (text: string, entry: PipelineEntry) =>
    playDialogue(t, text, { config: { pipelines: { inbound: [entry] } } });
  await Promise.all([
    play(greeting(without.join(' '), 10) + uploads('NO {*'), sieve({ redirectsMax: 10 })),
    play(greeting(sieveExtensions.join(' '), 4) + uploads('OK'), sieve({ programs: 'programs' })),
  ]);
});
