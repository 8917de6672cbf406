/** Freezes plain values that plugins share, so that writing to one is an error in the plugin that does. */

/** In place; typed arrays stay as they are, for they cannot be frozen. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value))
    return value;
  for (const key in value) deepFreeze(value[key]);
  return Object.freeze(value);
}
