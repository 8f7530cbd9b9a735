/** Reading the body of an asset or an object of R2, on Workers, into memory that was there before. */

/**
 * Takes `buffer` over; the bytes lie at the front of its memory. What does not fit is not read.
 *
 * Errors   those of the body
 */
export async function readInto(body: ReadableStream, buffer: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader({ mode: 'byob' });
  let memory = buffer;
  let length = 0;
  while (length < memory.byteLength) {
    const rest = memory.byteLength - length;
    const { value, done } = await reader.readAtLeast(rest, new Uint8Array(memory, length, rest));
    if (value !== undefined) {
      memory = value.buffer;
      length += value.byteLength;
    }
    if (done) return new Uint8Array(memory, 0, length);
  }
  await reader.cancel();
  return new Uint8Array(memory, 0, length);
}
