/** Active scripts that a thread has read, by user, language and version: a message that meets one of them asks the core nothing. */
import { scriptLimits } from '../base/limits/rules.ts';
import type { RuleLanguage, UserScript } from '../plugin/hooks.ts';

export class KnownScripts {
  /** The one used last stands last. */
  readonly #known = new Map<string, UserScript>();
  #characters = 0;

  get(user: string | undefined, language: RuleLanguage, version: string): UserScript | undefined {
    const key = keyOf(user, language);
    const script = this.#known.get(key);
    if (script?.version !== version) return undefined;
    this.#known.delete(key);
    this.#known.set(key, script);
    return script;
  }

  /** One for each user and language; what many calls are given, none of them changes. */
  remember(user: string | undefined, language: RuleLanguage, script: UserScript): UserScript {
    if (script.version === undefined) return script;
    const key = keyOf(user, language);
    this.#forget(key);
    this.#known.set(key, Object.freeze(script));
    this.#characters += script.source.length;
    for (const oldest of this.#known.keys()) {
      if (
        this.#known.size <= scriptLimits.threadScriptsMax &&
        this.#characters <= scriptLimits.threadCharactersMax
      )
        break;
      this.#forget(oldest);
    }
    return script;
  }

  #forget(key: string): void {
    const script = this.#known.get(key);
    if (script === undefined) return;
    this.#known.delete(key);
    this.#characters -= script.source.length;
  }
}

function keyOf(user: string | undefined, language: RuleLanguage): string {
  return `${language}\0${user ?? ''}`;
}
