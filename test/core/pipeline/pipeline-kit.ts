/** Pipelines of test plugins, and requests for them. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultLimits } from '../../../core/base/limits/settings.ts';
import { createLog, type RootLog } from '../../../core/base/log.ts';
import type { MessageSource } from '../../../core/mail/source.ts';
import { createPipelines, type PipelineMap, type PipelinesInit } from '../../../core/pipeline/pipeline.ts';
import { emptyPipelineState, type PipelineRequest, type Pipelines } from '../../../core/pipeline/request.ts';
import type { PipelineEntry } from '../../../core/plugin/entry.ts';

const here = dirname(fileURLToPath(import.meta.url));
export const installDirectory = join(here, '../../..');

/** Path of a file in plugins/. */
export function plugin(name: string): string {
  return join(here, 'plugins', `${name}.ts`);
}

export function entry(name: string, more: Partial<PipelineEntry> = {}): PipelineEntry {
  return {
    plugin: name.includes('/') ? name : plugin(name),
    options: {},
    onFailure: 'tempfail',
    timeoutSeconds: 5,
    shadow: false,
    ...more,
  };
}

export interface Open extends AsyncDisposable {
  readonly pipelines: Pipelines;
  /** Lines of the log, parsed. */
  readonly lines: Record<string, unknown>[];
}

export async function open(map: PipelineMap, init: Partial<PipelinesInit> = {}): Promise<Open> {
  const lines: Record<string, unknown>[] = [];
  const log: RootLog = createLog({ level: 'debug', write: (line) => void lines.push(JSON.parse(line)) });
  const counters = new Map<string, number>();
  const pipelines = await createPipelines({
    threads: 1,
    threadMemoryMiB: 64,
    installDirectory,
    baseDirectory: here,
    hostname: 'mx.example.test',
    domains: ['example.test'],
    limits: defaultLimits,
    log,
    services: {
      dns: refusingDns(),
      state: (name) => countingState(name, counters),
      scripts: () => ({ load: async () => undefined, note: async () => {} }),
      mailboxes: () => ({
        exists: async () => true,
        list: async () => ['INBOX'],
        metadata: async () => undefined,
        withId: async () => undefined,
        specialUse: async () => [],
      }),
    },
    pipelines: map,
    ...init,
  });
  return { pipelines, lines, [Symbol.asyncDispose]: () => pipelines.close() };
}

let serial = 0;

export function messageSource(text: string): MessageSource {
  const bytes = Buffer.from(text.replaceAll('\n', '\r\n'));
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return { kind: 'memory', buffer, offset: 0, length: bytes.length };
}

/** A request of the message stage. */
export function request(text: string, more: Partial<PipelineRequest> = {}): PipelineRequest {
  serial += 1;
  return {
    pipeline: 'inbound',
    stages: ['message'],
    id: `t${serial}`,
    connection: {
      id: `c${serial}`,
      door: 'smtp',
      listener: 'mx',
      localIp: '127.0.0.1',
      localPort: 25,
      remoteIp: '192.0.2.1',
      remotePort: 4000,
      remoteName: 'client.example.org',
      trusted: false,
      openedAt: 0,
    },
    session: { helo: 'client.example.org', esmtp: true },
    envelope: {
      sender: 'sender@example.org',
      recipients: [recipient('r1', 'alice@example.test'), recipient('r2', 'bob@example.test')],
      body: '8bitmime',
      smtputf8: false,
      requireTls: false,
    },
    message: messageSource(text),
    state: emptyPipelineState,
    ...more,
  };
}

export function recipient(id: string, address: string) {
  return { id, address, original: address, notify: [] };
}

function refusingDns(): PipelinesInit['services']['dns'] {
  const refuse = () =>
    Promise.reject(Object.assign(new Error('no network in tests'), { code: 'refused', temporary: true }));
  return {
    a: refuse,
    aaaa: refuse,
    txt: refuse,
    mx: refuse,
    ptr: refuse,
    ns: refuse,
    cname: refuse,
    srv: refuse,
    exists: refuse,
  };
}

function countingState(
  name: string,
  counters: Map<string, number>,
): ReturnType<PipelinesInit['services']['state']> {
  const full = (key: string) => `${name}/${key}`;
  return {
    get: async (key) => counters.get(full(key)),
    set: async (key, value) => void counters.set(full(key), Number(value)),
    delete: async (key) => void counters.delete(full(key)),
    increment: async (key, by = 1) => {
      const value = (counters.get(full(key)) ?? 0) + by;
      counters.set(full(key), value);
      return value;
    },
    setIfAbsent: async (key, value) => {
      if (counters.has(full(key))) return false;
      counters.set(full(key), Number(value));
      return true;
    },
    list: async (prefix) => [...counters.keys()].filter((key) => key.startsWith(full(prefix))),
    getAll: async (keys) =>
      Object.fromEntries(
        keys.filter((key) => counters.has(full(key))).map((key) => [key, counters.get(full(key))!]),
      ),
    incrementAll: async (keys, by) => {
      for (const key of keys) counters.set(full(key), (counters.get(full(key)) ?? 0) + by);
    },
  };
}
