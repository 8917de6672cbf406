/** The options of the plugin `bayes`, which `mailfilter learn` goes by too. */
export const bayesOptions = {
  minimum: {
    type: 'integer',
    minimum: 1,
    default: 50,
    description: 'Messages of each kind that must have been taught before anything is scored.',
  },
  moves: {
    type: 'string',
    enum: ['user', 'site', 'both', 'none'],
    default: 'user',
    description: 'Whose database learns when a user moves mail to Junk or out of it.',
  },
  userWeight: {
    type: 'number',
    minimum: 1,
    maximum: 1000,
    default: 5,
    description: "How many of the site's messages one that the user taught is worth.",
  },
  junkFolders: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: ['Junk', 'Spam'],
    description: 'Moves to these teach spam, moves out of them ham.',
  },
  trashFolders: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: ['Trash', 'Deleted Items', 'Deleted Messages'],
    description: 'Moves from Junk to these teach nothing.',
  },
  lessonsFrom: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: ['spamtrap'],
    description: 'Plugins before this one whose result { "lesson": "spam" } or "ham" the site learns from.',
  },
  expireDays: {
    type: 'integer',
    minimum: 1,
    maximum: 3650,
    default: 365,
    description: 'A token that was not taught for so long is forgotten; so is what undo needs.',
  },
  factor: {
    type: 'number',
    minimum: 0,
    maximum: 100,
    default: 1,
    description: 'What the points are multiplied with.',
  },
} as const;
