import { describe, expect, it } from 'vitest';
import { architectureOf, NETWORK_NAMES } from '../../shared/architecture.ts';
import { computeClassActivation, findPooledLayer, resizeMap } from '../../shared/class-activation.ts';
import { buildLayerTable } from '../../shared/resnet.ts';
import { tinyArchitecture } from '../support/tiny-model.ts';

describe('findPooledLayer', () => {
  it.each(NETWORK_NAMES)('finds the last stage of %s', (name) => {
    const architecture = architectureOf(name, { classes: 10, inputShape: [32, 32, 3] });
    const table = buildLayerTable(architecture);
    const layer = findPooledLayer(table);
    expect(layer).toBe(`layer${architecture.blocks.length}`);
    expect(table.find(({ name: row }) => row === layer)?.shape.length).toBe(3);
  });

  it('sees through the dropout before the linear layer', () => {
    const table = buildLayerTable(tinyArchitecture({ dropout: [{ after: 'avgpool', rate: 0.5 }] }));
    expect(findPooledLayer(table)).toBe('layer2');
  });

  it('refuses a perceptron by name', () => {
    const head = { kind: 'perceptron', hidden: [{ units: 5, dropout: 0.1 }] } as const;
    const table = buildLayerTable(tinyArchitecture({ head: { kind: head.kind, hidden: [...head.hidden] } }));
    expect(() => findPooledLayer(table)).toThrow(
      expect.objectContaining({
        code: 'explain/unsupported',
        message: expect.stringMatching(/"linear" reads "head\.0\.relu" \(relu\).*method=occlusion/),
      }),
    );
  });
});

describe('computeClassActivation', () => {
  const [height, width, channels] = [2, 3, 4];
  const values = Float32Array.from({ length: height * width * channels }, (_, index) => ((index * 7) % 11) / 4);
  const weights = Float32Array.of(1.5, -0.25, 0, -1);

  it('is the sum over the channels at each place, as plain loops have it', () => {
    const { map } = computeClassActivation(values, weights);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < channels; k++) sum += (values[(y * width + x) * channels + k] ?? 0) * (weights[k] ?? 0);
        expect(map[y * width + x]).toBeCloseTo(sum, 12);
      }
    }
    expect(map.some((value) => value < 0) && map.some((value) => value > 0)).toBe(true);
  });

  it('has contributions whose sum is the mean of the map', () => {
    const { map, means, contributions } = computeClassActivation(values, weights);
    const own = [0, 1, 2, 3].map((channel) => values.filter((_, index) => index % channels === channel));
    own.forEach((each, channel) => {
      const mean = each.reduce((a, b) => a + b, 0) / (height * width);
      expect(means[channel]).toBeCloseTo(mean, 12);
      expect(contributions[channel]).toBeCloseTo(mean * (weights[channel] ?? 0), 12);
    });
    const mean = map.reduce((a, b) => a + b, 0) / map.length;
    expect(contributions.reduce((a, b) => a + b, 0)).toBeCloseTo(mean, 12);
  });
});

describe('resizeMap', () => {
  it('puts the centres of the cells where they were and mixes between them', () => {
    expect([...resizeMap([0, 4], { height: 1, width: 2 }, { height: 1, width: 4 })]).toEqual([0, 1, 3, 4]);
    expect([...resizeMap([0, 4], { height: 2, width: 1 }, { height: 6, width: 1 })]).toEqual([
      0,
      0,
      expect.closeTo(4 / 3, 12),
      expect.closeTo(8 / 3, 12),
      4,
      4,
    ]);
  });

  it('mixes the four neighbours', () => {
    const resized = resizeMap([0, 8, 16, -8], { height: 2, width: 2 }, { height: 4, width: 4 });
    expect(resized[1 * 4 + 1]).toBe(0.75 * (0.25 * 8) + 0.25 * (0.75 * 16 + 0.25 * -8));
    expect([resized[0], resized[3], resized[12], resized[15]]).toEqual([0, 8, 16, -8]);
  });

  it('leaves a map of that size as it is', () => {
    const map = Float64Array.of(1, -2, 3, 4, 5, 6);
    expect(resizeMap(map, { height: 2, width: 3 }, { height: 2, width: 3 })).toEqual(map);
  });
});
