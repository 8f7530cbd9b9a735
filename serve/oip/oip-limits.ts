/** How much one request of the Open Inference Protocol may carry and ask for: a Worker has 128 MB for everything. */
export const OIP_LIMITS = {
  /** Images in one request. */
  batch: 32,
  /** Of a request, before and after decompression: parsed JSON takes several times its text. */
  bodyBytes: 4 * 1024 * 1024,
  /** Values in one answer as JSON, some 12 bytes each: `layer1` of eight pictures. */
  jsonValues: 2 ** 19,
  /** Values in one answer, 4 bytes each: `layer1` of a whole batch. */
  values: 2 ** 21,
} as const;
