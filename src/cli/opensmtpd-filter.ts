/** `mailfilter opensmtpd-filter`: started by OpenSMTPD's smtpd as a filter, `filter "mailfilter" proc-exec "..."`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../core/base/clock.ts';
import { OperationalError } from '../../core/base/errors.ts';
import { createLog, type Log } from '../../core/base/log.ts';
import type { Config, ListenerConfig } from '../../core/config/config.ts';
import { loadConfig } from '../../core/config/load.ts';
import { ipMatcher } from '../../core/net/ip.ts';
import type { Pipelines } from '../../core/pipeline/request.ts';
import { openMemoryState } from '../../core/state/memory.ts';
import type { House } from '../flow/house.ts';
import { createOpenSession } from '../flow/open-session.ts';
import { createSpool } from '../flow/spool.ts';
import { serveOpenSmtpd } from '../ingress/opensmtpd.ts';
import { createRouter } from '../router/routes.ts';
import { configOption, findConfig } from './config-file.ts';
import { openOnePipeline } from './one-pipeline.ts';
import { pipelineName } from './pipeline-name.ts';

export function define(command: Command): void {
  command
    .option(...configOption)
    .option('--pipeline <name>', 'pipeline to run (default: "inbound", or the only one)')
    .addHelpText('after', '\nsmtpd.conf: filter "mailfilter" proc-exec "mailfilter opensmtpd-filter -c FILE"')
    .action(run);
}

async function run(options: { config?: string; pipeline?: string }): Promise<void> {
  const config = loadConfig(findConfig(options.config));
  const pipeline = pipelineName(options.pipeline, config);
  const log = createLog({ level: config.log.level });
  // It lasts as long as smtpd does, which is what a greylist and counters need at least.
  const state = openMemoryState({ clock: systemClock, log });
  const pipelines = await openOnePipeline(config, pipeline, log, state);
  const spool = mkdtempSync(join(tmpdir(), 'mailfilter-'));
  try {
    const house = { ...filterHouse(config, pipeline, pipelines, spool, log), state: state.forPlugin };
    const openSession = createOpenSession(() => house, Promise.resolve());
    await serveOpenSmtpd({
      input: process.stdin,
      output: process.stdout,
      openSession,
      trusted: ipMatcher(config.trustedNetworks),
      log,
    });
  } finally {
    await pipelines.close();
    log.close();
    rmSync(spool, { recursive: true, force: true });
  }
}

/** A house with nothing in it but plugins: smtpd keeps the mail. */
function filterHouse(
  config: Config,
  pipeline: string,
  pipelines: Pipelines,
  spool: string,
  log: Log,
): Omit<House, 'state'> {
  const name = 'opensmtpd-filter';
  const listener: ListenerConfig = {
    name,
    protocol: 'milter',
    address: { kind: 'unix', path: '' },
    tls: 'none',
    pipeline,
    auth: false,
    authWithoutTls: false,
    earlyTalkerDelayMs: 0,
    ...{ futureReleaseSecondsMax: 0, deliverBy: false, priorities: false },
  };
  const { open } = createSpool({ directory: spool, limits: config.limits });
  const nowhere = () => {
    throw new OperationalError('storage-failed', 'a filter of smtpd keeps no mail', { temporary: true });
  };
  return {
    config: { ...config, listeners: [listener] },
    pipelines,
    router: createRouter(config.routes),
    users: undefined,
    openSink: open,
    accept: async () => nowhere(),
    store: async () => nowhere(),
    reserveQuota: async () => true,
    releaseQuota: () => undefined,
    troubled: () => undefined,
    trace: () => undefined,
    note: () => undefined,
    outbound: { send: async () => nowhere(), close: async () => {} },
    mayBounce: () => false,
    log,
    clock: systemClock,
  };
}
