/** An entry of one of the `pipelines` of the config. */
import { choice, flag, type JsonSchema, text, whole } from './words.ts';

const failurePolicies = ['tempfail', 'continue', 'quarantine', 'reject'] as const;

/** `plugin` alone, as text, or with its options. */
export const pipelineEntry: JsonSchema = {
  type: ['string', 'object'],
  minLength: 1,
  description: 'A bundled plugin by name, a file by a path that begins with . or /, or either with options.',
  properties: {
    plugin: text('Bundled name, or a path that begins with . or /.'),
    options: {
      type: 'object',
      description:
        'As the plugin declares them. { "env": "NAME" } or { "file": "path" } stands for a secret string.',
    },
    onFailure: choice(
      'What a throw, a timeout or a dead thread means for the message.',
      failurePolicies,
      'tempfail',
    ),
    timeoutSeconds: { ...whole('Time for one hook call.', 30, 1, 3600), type: 'number', minimum: 0.01 },
    shadow: flag('Run and trace the plugin, but change nothing.', false),
  },
  required: ['plugin'],
  additionalProperties: false,
};
