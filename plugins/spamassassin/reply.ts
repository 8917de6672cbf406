/** spamd's answers: a status line, fields, a blank line, and a body whose length is told. SPAMC/SPAMD protocol 1.5. */

export interface SpamdReply {
  /** sysexits.h; 0 is EX_OK. */
  readonly code: number;
  /** `EX_OK`, `PONG`, or what went wrong. */
  readonly message: string;
  /** By name in lower case. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** @throws Error for what is no whole answer */
export function parseSpamdReply(answer: Buffer): SpamdReply {
  const end = answer.indexOf('\r\n');
  const status = /^SPAMD\/\d+(?:\.\d+)* (\d{1,3}) (.+)$/.exec(
    answer.subarray(0, Math.max(0, end)).toString('latin1'),
  );
  if (!status)
    throw new Error(`no answer of spamd: ${JSON.stringify(answer.subarray(0, 100).toString('latin1'))}`);
  const code = Number(status[1]);
  const message = status[2]!.trim();
  if (answer.length === end + 2) return { code, message, fields: new Map(), body: answer.subarray(end + 2) };
  const blank = answer.indexOf('\r\n\r\n', end);
  if (blank < 0) throw new Error("spamd's answer is cut short within its fields");
  const lines = answer
    .subarray(end + 2, Math.max(end + 2, blank))
    .toString('latin1')
    .split('\r\n');
  const fields = new Map(
    lines.filter(Boolean).map((line): [string, string] => {
      const [name = '', ...value] = line.split(':');
      return [name.trim().toLowerCase(), value.join(':').trim()];
    }),
  );
  const body = answer.subarray(blank + 4);
  const length = fields.get('content-length');
  if (length !== undefined && body.length < Number(length)) {
    throw new Error(`spamd's answer is cut short: ${body.length} of ${length} octets`);
  }
  return { code, message, fields, body };
}

export interface SpamVerdict {
  readonly spam: boolean;
  readonly score: number;
  /** From where on spamd calls it spam. */
  readonly threshold: number;
}

/** `Spam: True ; 15.0 / 5.0`. @throws Error where the field is missing or another */
export function readSpamField({ fields }: SpamdReply): SpamVerdict {
  const written = fields.get('spam') ?? '';
  const parts = /^(true|yes|false|no)\s*;\s*(-?\d+(?:\.\d+)?)\s*\/\s*(-?\d+(?:\.\d+)?)$/i.exec(written);
  if (!parts) throw new Error(`spamd's answer has no verdict: ${JSON.stringify(written)}`);
  return { spam: /^[ty]/i.test(parts[1]!), score: Number(parts[2]), threshold: Number(parts[3]) };
}

export interface ReportedSymbol {
  readonly name: string;
  readonly score: number;
  readonly text: string;
}

/** The lines of a report's table, ` 1.2 RULE_NAME  what it means`; continuation lines belong to the one above. */
export function readReportTable(report: string): ReportedSymbol[] {
  const symbols: ReportedSymbol[] = [];
  for (const line of report.split(/\r?\n/)) {
    const row = /^\s*\*?\s*(-?\d+(?:\.\d+)?)\s+([A-Z][A-Z0-9_]*)\s*(.*)$/.exec(line);
    if (row) symbols.push({ score: Number(row[1]), name: row[2]!, text: row[3]!.trim() });
  }
  return symbols;
}
