/** What a plugin's declared effects say of its place in verify -> score -> mutate -> sign. */
import type { PluginKind, PluginManifest } from './hooks.ts';

/** The declared kind, else what the effects and hooks show; undefined when they show nothing: such a plugin is never skipped. */
export function kindOf({
  effects,
  hooks,
}: Pick<PluginManifest, 'effects' | 'hooks'>): PluginKind | undefined {
  if (effects.kind !== undefined) return effects.kind;
  if ((effects.writes ?? []).length > 0) return 'mutate';
  return hooks.length > 0 && hooks.every((hook) => hook === 'deliver') ? 'deliver' : undefined;
}

/** True for plugins that change sender or recipients: they run in the first pass of rcptTo, before routing is asked. */
export function rewritesEnvelope({ effects }: Pick<PluginManifest, 'effects'>): boolean {
  return (effects.writes ?? []).some((effect) => effect === 'sender' || effect === 'recipients');
}
