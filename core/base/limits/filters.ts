/** Limits of content filters and the daemons they ask. */

/** The classifier of plugins/bayes: what of a message it looks at. */
export const bayesLimits = {
  /** More tokens hardly change a judgement, and each is a key that is read: for user and site, in one question. */
  tokensMax: 1900,
  /** Of decoded text, and of HTML. */
  textCharacters: 100_000,
  fieldCharacters: 2000,
  /** Of one whose meaning is not known, and so many of these: a header may have thousands. */
  otherFieldCharacters: 500,
  otherFields: 60,
  fieldNameCharacters: 40,
  /** A longer word is encoded data or a language of long words: only its length counts. */
  wordCharacters: 30,
  /** Up to here a word counts as it is written too, next to its lower case. */
  casedWordCharacters: 15,
  attachments: 50,
  /** The strongest tokens that are combined. */
  cluesMax: 300,
} as const;

/** Daemons that plugins ask: clamd, spamd, rspamd. */
export const daemonLimits = {
  /** They are near; one that is busy still accepts. */
  connectMs: 5000,
  /** Failures in a row after which a daemon rests that accepted connections and did not serve. */
  failuresMax: 3,
  restMsMin: 1000,
  restMsMax: 30_000,
  /** One question's try whether a daemon is back; a thread that dies with it holds up the next no longer. */
  trialMsMax: 600_000,
  /** Daemons whose rest all threads of a process know of: some kilobytes. */
  boardSlots: 64,
  /** Left of a hook's time for telling what is wrong. */
  marginMs: 250,
} as const;
