/** Byte arrays inside of JSON: the DevTools protocol carries nothing else. */

/** Replaces every byte array in `value`, at any depth. */
export function packBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    let text = '';
    for (let start = 0; start < value.length; start += 0x8000) {
      text += String.fromCharCode(...value.subarray(start, start + 0x8000));
    }
    return { packedBytes: btoa(text) };
  }
  return mapInside(value, packBytes);
}

export function unpackBytes(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && 'packedBytes' in value && typeof value.packedBytes === 'string') {
    const text = atob(value.packedBytes);
    const bytes = new Uint8Array(text.length);
    // Megabytes: walking through the text as an iterable takes ten times as long.
    for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
    return bytes;
  }
  return mapInside(value, unpackBytes);
}

function mapInside(value: unknown, map: (inner: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(map);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, map(inner)]));
}
