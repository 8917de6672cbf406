/** Runs a program many times through one small process: starting it from here each time would take ten times as long. */
import { spawnSync } from 'node:child_process';

export interface ManyCase {
  readonly argv: readonly string[];
  /** An octet a character. */
  readonly input: string;
  readonly cwd?: string;
}

export interface ManyResult {
  /** Null where a signal ended it, or time ran out. */
  readonly code: number | null;
  readonly stdout: string;
}

const secondsMax = 60;

const script = `
import json, subprocess, sys
for line in sys.stdin:
    case = json.loads(line)
    try:
        done = subprocess.run(case["argv"], input=case["input"].encode("latin1"), cwd=case.get("cwd"),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=${secondsMax})
        code = None if done.returncode < 0 else done.returncode
        print(json.dumps({"code": code, "stdout": done.stdout.decode("latin1")}))
    except subprocess.TimeoutExpired:
        print(json.dumps({"code": None, "stdout": ""}))
`;

/** One after the other, in order; with python3. */
export function runMany(cases: readonly ManyCase[]): ManyResult[] {
  const input = cases.map((each) => `${JSON.stringify(each)}\n`).join('');
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script], {
    input,
    encoding: 'utf8',
    maxBuffer: 1024 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`python3 ended with ${status}: ${stderr}`);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ManyResult);
}
