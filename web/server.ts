/** The server of this page, and what the page asks it for in its own way. */
import type { Activation } from '../shared/api.ts';
import { Client } from '../shared/client/client.ts';
import type { ActivationArray } from '../shared/client/layer-answer.ts';

export const server = new Client(new URL('.', location.href));

/** Statistics of each channel, and all values: [height, width, channels], or [features]. */
export interface LayerReading {
  activation: Activation;
  array: Pick<ActivationArray, 'shape' | 'values'>;
}

interface LayerRequest {
  /** The input token of a picture that was classified. */
  token: string;
  /** Whether the picture is a sample; of any other nothing goes into the browser's cache: its address is the picture. */
  isSample: boolean;
  /** The whole id: statistics and values are of one model, also while the server changes its own, and may be kept. */
  model: string;
  signal: AbortSignal;
}

export async function readLayer(
  layer: string,
  { token, isSample, model, signal }: LayerRequest,
): Promise<LayerReading> {
  const options = { input: token, model, signal, cache: isSample ? 'default' : 'no-store' } as const;
  const [activation, array] = await Promise.all([
    server.readActivation(layer, options),
    server.readActivation(layer, { ...options, format: 'npy' }),
  ]);
  return { activation, array };
}
