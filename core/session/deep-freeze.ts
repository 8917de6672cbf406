/** Freezes plain values that plugins share, so that writing to one is an error in the plugin that does. */

/** In place; typed arrays stay as they are, for they cannot be frozen. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value))
    return value;
  // From the outside in: V8 takes half the time of the other way round.
  Object.freeze(value);
  for (const key of Object.keys(value)) {
    const part = value[key as keyof typeof value];
    if (typeof part === 'object') deepFreeze(part);
  }
  return value;
}
