/** Compiled scripts of one thread, by name and text: a script is compiled once, however many messages meet it. */
import { type Compilation, compileSieve } from '../../rules/sieve/index.ts';

/** Scripts of users and site that a thread keeps compiled; the one not used for longest goes first. */
const programsMax = 1000;
/** Characters of source that they hold together: a compiled script takes about seventy octets for each. */
const charactersMax = 1_000_000;

interface Script {
  readonly name: string;
  readonly source: string;
}

export class Programs {
  /** The same script comes as the same object from one message to the next. */
  readonly #ofScripts = new WeakMap<Script, Compilation>();
  /** By name and text. */
  readonly #compiled = new Map<string, Compilation>();
  readonly #extensions: readonly string[] | undefined;
  #characters = 0;

  /** @param extensions that scripts may require; all when absent */
  constructor(extensions?: readonly string[]) {
    this.#extensions = extensions;
  }

  compile(script: Script): Compilation {
    const known = this.#ofScripts.get(script);
    if (known !== undefined) return known;
    const compilation = this.#compileText(script);
    this.#ofScripts.set(script, compilation);
    return compilation;
  }

  #compileText({ name, source }: Script): Compilation {
    const key = `${name}\0${source}`;
    const known = this.#compiled.get(key);
    if (known !== undefined) {
      this.#compiled.delete(key);
      this.#compiled.set(key, known);
      return known;
    }
    const compilation = compileSieve(source, {
      name,
      ...(this.#extensions && { extensions: this.#extensions }),
    });
    this.#compiled.set(key, compilation);
    this.#characters += key.length;
    for (const oldest of this.#compiled.keys()) {
      if (this.#compiled.size <= programsMax && this.#characters <= charactersMax) break;
      this.#compiled.delete(oldest);
      this.#characters -= oldest.length;
    }
    return compilation;
  }
}
