/** Compiled scripts kept by their content: the same text compiles once, whoever owns it. */
import { createHash } from 'node:crypto';
import { sieveLimits } from '../../core/base/limits/rules.ts';
import { compileSieve } from './compile.ts';
import type { Compilation, CompileOptions } from './program.ts';

interface Kept {
  readonly compilation: Compilation;
  readonly bytes: number;
}

export interface ScriptCache {
  /** As compileSieve; `options.script` is not taken, since what it answers may change. */
  compile(source: string | Uint8Array, options?: Omit<CompileOptions, 'script'>): Compilation;
  readonly size: number;
}

/** The least recently used go first where `cachedScriptsMax` or `cachedScriptBytesMax` is reached. */
export function createScriptCache(): ScriptCache {
  const kept = new Map<string, Kept>();
  let bytes = 0;
  return {
    get size() {
      return kept.size;
    },
    compile(source, options = {}) {
      const key = keyOf(source, options);
      const known = kept.get(key);
      if (known) {
        kept.delete(key);
        kept.set(key, known);
        return known.compilation;
      }
      const compilation = compileSieve(source, options);
      kept.set(key, { compilation, bytes: source.length });
      bytes += source.length;
      for (const [oldest, entry] of kept) {
        if (kept.size <= sieveLimits.cachedScriptsMax && bytes <= sieveLimits.cachedScriptBytesMax) break;
        kept.delete(oldest);
        bytes -= entry.bytes;
      }
      return compilation;
    },
  };
}

function keyOf(source: string | Uint8Array, options: Omit<CompileOptions, 'script'>): string {
  return createHash('sha256').update(JSON.stringify(options)).update('\0').update(source).digest('base64');
}
