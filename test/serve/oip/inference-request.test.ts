/** What may be asked for at once: with the shapes of a real network, since a tiny one cannot reach the limits. */
import { expect, test } from 'vitest';
import { resolveRequest } from '../../../serve/oip/inference-request.ts';
import { OIP_LIMITS } from '../../../serve/oip/oip-limits.ts';
import { architectureOf } from '../../../shared/architecture.ts';
import { listLayerEntries, type ModelManifest } from '../../../shared/manifest.ts';
import { buildLayerTable } from '../../../shared/resnet.ts';

const architecture = architectureOf('resnet18', { inputShape: [32, 32, 3], classes: 10 });
const manifest = { architecture, layers: listLayerEntries(buildLayerTable(architecture)) } as ModelManifest;

function ask(batch: number, outputs: readonly { name: string; isBinary: boolean }[]) {
  const bytes = new Uint8Array(batch * 3072);
  const inputs = [{ name: 'image', datatype: 'UINT8', shape: [batch, 32, 32, 3], content: { bytes } }];
  return resolveRequest({ id: undefined, inputs, outputs, isBinaryByDefault: false }, manifest);
}

test('a layer of 65,536 values is answered for 8 pictures in JSON and for 32 as bytes', () => {
  expect(8 * 65_536).toBe(OIP_LIMITS.jsonValues);
  expect(ask(8, [{ name: 'layer1', isBinary: false }]).outputs[0]?.layer.shape).toEqual([32, 32, 64]);
  expect(ask(32, [{ name: 'layer1', isBinary: true }]).batch).toBe(32);
  expect(() => ask(9, [{ name: 'layer1', isBinary: false }])).toThrow(
    'these outputs have 589824 values in JSON; at most 524288 are expected; ask for fewer, or for them as bytes',
  );
  const two = ['layer1', 'probs'].map((name) => ({ name, isBinary: true }));
  expect(() => ask(32, two)).toThrow('these outputs have 2097472 values; at most 2097152 are expected; ask for fewer');
});
