/** JSON Schema of what plugins say of a DNS list. */

export const zoneName = {
  type: 'string',
  pattern: '^(?=.{1,200}$)[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*\\.?$',
} as const;

export const listTimeoutSeconds = {
  type: 'number',
  exclusiveMinimum: 0,
  maximum: 60,
  default: 5,
  description: 'A list that has not answered by then cannot be asked.',
} as const;

/** Not `type: array` itself: left out, it would be filled in as an empty list. */
const answers = (description: string) =>
  ({
    anyOf: [{ type: 'array', minItems: 1, maxItems: 64, items: { type: 'string' } }],
    description,
  }) as const;

/** @param actions those that the plugin knows */
export function listProperties<const Actions extends readonly string[]>(actions: Actions) {
  const action = { type: 'string', enum: actions } as const;
  return {
    zone: zoneName,
    answers: answers('Answers that count, such as 127.0.0.2 or 127.0.0.8/29. Default: all of 127.0.0.0/8.'),
    codes: {
      anyOf: [
        {
          type: 'array',
          minItems: 1,
          maxItems: 64,
          items: {
            type: 'object',
            properties: {
              name: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,32}$' },
              answers: answers('Answers that mean this.'),
              mask: {
                type: 'integer',
                minimum: 1,
                maximum: 16_777_215,
                description: 'Bits of the last three octets, of which one is set.',
              },
              action,
              score: { type: 'number' },
            },
            required: ['name'],
            additionalProperties: false,
          },
        },
      ],
      description:
        'What single answers mean, each with an action and points of its own; others do not count.',
    },
    refusals: answers(
      'Answers by which the list says that it does not serve us. Default: 127.255.255.0/24, 127.0.0.1, 127.0.0.255, 127.0.1.255.',
    ),
    action,
    score: { type: 'number', description: 'Points of a hit.' },
    onFailure: {
      type: 'string',
      enum: ['policy', 'continue'],
      description:
        'When the list cannot be asked: the plugin has failed and its own onFailure decides (default), or the list is left out.',
    },
  } as const;
}
