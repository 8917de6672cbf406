/** What plugins print goes to the log, bounded, and never to the program's own standard output. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { pipelineLimits } from '../base/limits/pipeline.ts';
import type { Output } from './wire.ts';

/** @param pluginOf names the plugin whose code runs */
export function captureOutput(send: (output: Output) => void, pluginOf: () => string | undefined): void {
  const bounded = boundRate(send);
  const write = (chunk: unknown): void => {
    const text = (typeof chunk === 'string' ? chunk : Buffer.from(chunk as Uint8Array).toString('utf8'))
      .slice(0, pipelineLimits.outputCharactersMax)
      .trimEnd();
    if (text !== '') bounded({ type: 'output', event: 'plugin-output', plugin: pluginOf(), text });
  };
  const sink = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      write(chunk);
      done();
    },
  });
  globalThis.console = new Console({
    stdout: sink,
    stderr: sink,
    inspectOptions: { maxArrayLength: 50, maxStringLength: 2000 },
  });
  for (const stream of [process.stdout, process.stderr]) {
    stream.write = ((chunk: unknown, encoding?: unknown, done?: unknown) => {
      write(chunk);
      const callback = typeof encoding === 'function' ? encoding : done;
      if (typeof callback === 'function') process.nextTick(callback as () => void);
      return true;
    }) as typeof stream.write;
  }
}

/** At most so many lines a second; how many were dropped is said once. */
function boundRate(send: (output: Output) => void): (output: Output) => void {
  let second = 0;
  let count = 0;
  return (output) => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      const dropped = count - pipelineLimits.outputLinesPerSecondMax;
      if (dropped > 0) send({ ...output, text: `(${dropped} more lines of output were dropped)` });
      second = now;
      count = 0;
    }
    count += 1;
    if (count <= pipelineLimits.outputLinesPerSecondMax) send(output);
  };
}
