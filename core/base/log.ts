/** Logs: one JSON line per event through pino, or a line for eyes on a terminal. */
import { writeSync } from 'node:fs';
import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { Json } from './json.ts';
import { logFactsDepthMax } from './limits/process.ts';
import { type FileOwner, LineWriter } from './line-writer.ts';
import { prettyLine } from './log-pretty.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** Facts of one event. Values under keys that name a secret are replaced before they are written. */
export type LogFacts = Readonly<Record<string, Json | undefined>>;

/** `event` is one fixed word (`message-accepted`); what varies stands in the facts. `id` is the transaction's or connection's. */
export interface Log {
  trace(event: string, facts?: LogFacts): void;
  debug(event: string, facts?: LogFacts): void;
  info(event: string, facts?: LogFacts): void;
  warn(event: string, facts?: LogFacts): void;
  error(event: string, facts?: LogFacts): void;
  /** True when such lines are written: ask before facts that are dear to gather. */
  enabled(level: LogLevel): boolean;
  /** A log whose every line carries these facts too. */
  child(bindings: LogFacts): Log;
}

/** The log of a process. */
export interface RootLog extends Log {
  setLevel(level: LogLevel): void;
  /** Opens the file anew, after it was moved away; nothing for other destinations. */
  reopen(): void;
  /** Writes what is still buffered and lets go of signals. */
  close(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Absolute path, appended to, mode 0640, reopened on SIGHUP and SIGUSR1; standard error when absent. */
  readonly file?: string;
  /** Numeric ids of the user a process started as root will become: the file is that user's, who opens it again later. */
  readonly owner?: FileOwner;
  /** Lines for eyes; default: where standard error is a terminal. */
  readonly pretty?: boolean;
  /** Takes the lines instead of any file, each with its line end. */
  readonly write?: (line: string) => void;
}

/** @throws Error of the system when the file cannot be opened. */
export function createLog(options: LogOptions): RootLog {
  const destination = openDestination(options);
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return new RootPinoLog(logger, destination);
}

/** A log that drops everything. */
export const silentLog: Log = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  enabled: () => false,
  child: () => silentLog,
};

interface Destination {
  write(line: string): void;
  reopen(): void;
  close(): void;
}

class PinoLog implements Log {
  protected readonly logger: Logger<never>;

  constructor(logger: Logger<never>) {
    this.logger = logger;
  }

  trace(event: string, facts?: LogFacts): void {
    this.#line('trace', event, facts);
  }
  debug(event: string, facts?: LogFacts): void {
    this.#line('debug', event, facts);
  }
  info(event: string, facts?: LogFacts): void {
    this.#line('info', event, facts);
  }
  warn(event: string, facts?: LogFacts): void {
    this.#line('warn', event, facts);
  }
  error(event: string, facts?: LogFacts): void {
    this.#line('error', event, facts);
  }

  enabled(level: LogLevel): boolean {
    return this.logger.isLevelEnabled(level);
  }

  child(bindings: LogFacts): Log {
    return new PinoLog(this.logger.child(redact(bindings)));
  }

  #line(level: LogLevel, event: string, facts: LogFacts | undefined): void {
    if (!this.logger.isLevelEnabled(level)) return;
    if (facts === undefined) this.logger[level](event);
    else this.logger[level](redact(facts), event);
  }
}

class RootPinoLog extends PinoLog implements RootLog {
  readonly #destination: Destination;

  constructor(logger: Logger<never>, destination: Destination) {
    super(logger);
    this.#destination = destination;
  }

  setLevel(level: LogLevel): void {
    this.logger.level = level;
  }

  reopen(): void {
    this.#destination.reopen();
  }

  close(): void {
    this.#destination.close();
  }
}

function openDestination(options: LogOptions): Destination {
  const { write } = options;
  if (write !== undefined) return { write, reopen: () => {}, close: () => {} };
  if (options.file !== undefined) return openFile(options.file, options.owner);
  if (options.pretty ?? process.stderr.isTTY === true) {
    return {
      write: (line) => process.stderr.write(prettyLine(line)),
      reopen: () => {},
      close: () => {},
    };
  }
  // There is nowhere left to say that standard error is gone.
  return new LineWriter({ to: 2, failed: () => {} });
}

const reopenSignals = ['SIGHUP', 'SIGUSR1'] as const;

function openFile(file: string, owner: FileOwner | undefined): Destination {
  const writer = new LineWriter({
    to: file,
    owner,
    failed: (error) => tell(`mailfilter: log ${file}: ${error.message}\n`),
  });
  const reopen = (): void => writer.reopen();
  for (const signal of reopenSignals) process.on(signal, reopen);
  return {
    write: (line) => writer.write(line),
    reopen,
    close: () => {
      for (const signal of reopenSignals) process.off(signal, reopen);
      writer.close();
    },
  };
}

function tell(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Standard error may lie on the same full disk; a log that is lost ends nothing.
  }
}

const secretName = /passw(or)?d|passphrase|secret|token|credential|authorization|private_?key|api_?key/i;

/** The facts as they are when no key names a secret, which is nearly always; else a copy. */
function redact(facts: LogFacts): Record<string, unknown> {
  return redactValue(facts, 0) as Record<string, unknown>;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > logFactsDepthMax) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => redactValue(item, depth + 1));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [key, member] of Object.entries(value)) {
    const safe = secretName.test(key) ? '[redacted]' : redactValue(member, depth + 1);
    if (safe !== member) {
      copy ??= { ...value };
      copy[key] = safe;
    }
  }
  return copy ?? value;
}
