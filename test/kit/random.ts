/** Random values from a printed seed: MAILFILTER_SEED=number repeats a run. */

export interface RandomSource {
  /** An integer from 0 up to, not including, `limit`. */
  below(limit: number): number;
  pick<Value>(values: readonly Value[]): Value;
  bytes(length: number): Buffer;
}

/** Mulberry32, seeded from the environment, else as the caller says, else from the clock; prints its seed. */
export function randomSource(name: string, preset = Date.now() % 2 ** 31): RandomSource {
  const seed = Number(process.env.MAILFILTER_SEED ?? preset);
  console.log(`${name}: MAILFILTER_SEED=${seed}`);
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    pick: (values) => values[below(values.length)]!,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
