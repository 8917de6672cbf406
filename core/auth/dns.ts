/** DNS as authentication asks it: the four kinds of question, and which failure means "later" instead of "not there". */

/** What a plugin's `context.dns` is, too. Rejections with `temporary: false` mean a name that cannot exist. */
export interface AuthDns {
  a(name: string): Promise<string[]>;
  aaaa(name: string): Promise<string[]>;
  txt(name: string): Promise<string[]>;
  mx(name: string): Promise<{ exchange: string; preference: number }[]>;
  ptr(ip: string): Promise<string[]>;
  /** False where DNS says that there is no such name. RFC 8020. */
  exists(name: string): Promise<boolean>;
}

/** DNS gave no answer now: whatever depends on it is a temperror, never a pass. */
export class DnsTrouble extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'DnsTrouble';
  }
}

/**
 * Records, or none where the name cannot be asked for.
 * @throws DnsTrouble when DNS has no answer now
 */
export async function askDns<Record>(question: () => Promise<Record[]>): Promise<Record[]> {
  try {
    return await question();
  } catch (error) {
    if ((error as { temporary?: unknown } | null)?.temporary === false) return [];
    throw new DnsTrouble(error);
  }
}

/** The same answers, but none after that time: questions still open then, and later ones, fail temporarily. */
export function boundedDns(dns: AuthDns, milliseconds: number): AuthDns {
  const late = AbortSignal.timeout(Math.max(0, milliseconds));
  const inTime =
    <Argument, Answer>(question: (argument: Argument) => Promise<Answer>) =>
    (argument: Argument): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const giveUp = () =>
          reject(new DnsTrouble(`no answers from DNS within ${Math.round(milliseconds)} ms`));
        if (late.aborted) return giveUp();
        late.addEventListener('abort', giveUp, { once: true });
        question(argument)
          .then(resolve, reject)
          .finally(() => late.removeEventListener('abort', giveUp));
      });
  return {
    a: inTime((name) => dns.a(name)),
    aaaa: inTime((name) => dns.aaaa(name)),
    txt: inTime((name) => dns.txt(name)),
    mx: inTime((name) => dns.mx(name)),
    ptr: inTime((ip) => dns.ptr(ip)),
    exists: inTime((name) => dns.exists(name)),
  };
}
