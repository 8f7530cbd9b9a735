/**
 * The TypeScript client against a real server: its methods give what the routes give, and together they ask for every
 * route and every parameter of the OpenAPI document.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ApiError, Client, OipClient } from '../../shared/client/entry.ts';
import type { ActivationArray, Classification, ModelDetail } from '../../shared/client/entry.ts';
import { decodeInputToken } from '../../shared/image/token.ts';
import { sizeOf } from '../../shared/resnet.ts';
import { drawPicture, toBase64 } from './api-client.ts';

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.object({ parameters: z.array(z.object({ name: z.string(), in: z.string() })).default([]) })),
  ),
});

const CHANNEL = 'resnet18';
const LAYER = 'layer2';

export interface ClientTarget {
  url: string;
  /** Of the server under test; Workers hand it to each other as a binding. */
  fetch: (request: Request) => Promise<Response>;
}

export function describeClient(platform: string, target: () => ClientTarget): void {
  describe(`the client on ${platform}`, () => {
    const asked: Request[] = [];
    let client: Client;
    let oip: OipClient;
    let picture: Uint8Array<ArrayBuffer>;
    let answer: Classification;
    let manifest: ModelDetail;
    let pixels: Uint8Array;

    beforeAll(async () => {
      const { url, fetch } = target();
      const options = {
        fetch: (request: Request) => {
          asked.push(request.clone());
          return fetch(request);
        },
      };
      client = new Client(url, options);
      oip = new OipClient(url, options);
      picture = await drawPicture({ width: 41, height: 23 });
      answer = await client.classify(picture);
      manifest = await client.readModel('champion');
      pixels = await decodeInputToken(answer.input.token, sizeOf(manifest.architecture.inputShape));
    });

    const failureOf = async (waiting: Promise<unknown>): Promise<ApiError> => {
      const error = await waiting.then(
        () => expect.fail('it did not fail'),
        (reason: unknown) => reason,
      );
      if (!(error instanceof ApiError)) throw error;
      return error;
    };

    /** The small picture as a record of CIFAR-10's binary layout. */
    const recordOf = (label: number): Uint8Array<ArrayBuffer> => {
      const [height, width, channels] = manifest.architecture.inputShape;
      const area = height * width;
      return Uint8Array.from({ length: 1 + area * channels }, (_, index) => {
        const [channel, place] = [Math.floor((index - 1) / area), (index - 1) % area];
        return index === 0 ? label : (pixels[place * channels + channel] ?? 0);
      });
    };

    test('classifies a picture as bytes, a Blob, base64 or one of several files, with the same answer', async () => {
      const [best] = answer.predictions;
      expect(answer.predictions.length).toBe(5);
      expect(answer.input).toMatchObject({ width: 41, height: 23 });
      expect(await client.classify(new Blob([picture]))).toEqual(answer);
      expect(await client.classify(picture.buffer, { model: manifest.modelId, topK: 1 })).toMatchObject({
        model: { id: manifest.modelId, channel: null },
        predictions: [best],
      });
      const named = await client.classifyBase64(toBase64(picture), { channel: CHANNEL, topK: 2 });
      expect(named.predictions).toEqual(answer.predictions.slice(0, 2));
      const list = await client.classify(picture, { format: 'list', channel: CHANNEL });
      expect(list).toEqual(answer.predictions.map(({ label, score }) => ({ label, score })));
      const options = { format: 'list', model: 'champion' } as const;
      expect(await client.classifyBase64(toBase64(picture), options)).toEqual(list);
      const { results } = await client.classifyFiles([
        { name: 'a.png', picture },
        { name: 'b.txt', picture: new TextEncoder().encode('text') },
      ]);
      expect(results).toMatchObject([
        { file: 'a.png', predictions: answer.predictions },
        { file: 'b.txt', problem: { code: 'image/unknown-type' } },
      ]);
    });

    test('reads a layer as statistics, numbers, eight bits and a picture, which agree', async () => {
      const { layers } = await client.listLayers({ channel: CHANNEL });
      expect((await client.listLayers({ model: 'champion' })).layers).toEqual(layers);
      const [height = 0, width = 0] = layers.find(({ name }) => name === LAYER)?.shape ?? [];
      const input = { input: answer.input.token };
      const statistics = await client.readActivation(LAYER, { ...input, channels: [3, 0, 1], values: true });
      const array = await client.readActivation(LAYER, { ...input, channels: [3, 0, 1], format: 'npy' });
      expect(array).toMatchObject({ shape: [height, width, 3], channels: [3, 0, 1] });
      expect(statistics.values?.map(Math.fround)).toEqual([...array.values]);

      const atlas = await client.readActivation(LAYER, { ...input, channels: [3, 0, 1], format: 'atlas' });
      expect(atlas).toMatchObject({ shape: [3, height, width], channels: [3, 0, 1] });
      expect([...atlas.ranges]).toEqual(statistics.channels.flatMap(({ min, max }) => [min, max].map(Math.fround)));
      expect(atlas.values.length).toBe(3 * height * width);
      expect(Math.max(...atlas.values)).toBe(255);

      const drawn = await client.readActivation(LAYER, { picture, format: 'png', top: 4, scale: 2, range: 'channel' });
      expect(drawn.channels.length).toBe(4);
      expect(drawn.columns).toBeGreaterThan(0);
      expect(new Uint8Array(await drawn.picture.slice(0, 4).arrayBuffer())).toEqual(Uint8Array.of(137, 80, 78, 71));
      const strongest = await client.readActivation(LAYER, { ...input, top: 4 });
      expect(strongest.channels.map(({ channel }) => channel)).toEqual(drawn.channels);
    });

    test('reads the same of a file, of its token and of a pinned model', async () => {
      const arrays: ActivationArray[] = [];
      for (const options of [
        { picture },
        { picture, model: 'champion', channels: [0, 1], values: undefined },
        { picture, channel: CHANNEL, range: undefined },
        { input: answer.input.token, model: manifest.modelId },
        { input: answer.input.token, channel: CHANNEL, cache: undefined },
      ]) {
        arrays.push(await client.readActivation(LAYER, { ...options, format: 'npy' }));
      }
      const [first, part, ...others] = arrays;
      for (const other of others) expect(other).toEqual(first);
      expect(part?.channels).toEqual([0, 1]);
      const uploaded = await client.readActivation(LAYER, { picture, values: true, channels: [0] });
      expect(uploaded.values?.[0]).toBeCloseTo(first?.values[0] ?? Number.NaN, 5);
      const sampled = await client.readActivation(LAYER, { format: 'png', scale: 3, range: 'layer' });
      expect(sampled.max).toBeGreaterThan(sampled.min);
    });

    test('reads the samples, their files, and what is seen in them', async () => {
      const { samples, default: usual } = await client.listSamples();
      const [sample] = samples;
      if (sample === undefined) throw new Error('no samples');
      const file = await client.readSamplePicture(sample);
      const classified = await client.classify(file);
      const bySample = await client.readActivation('input', { sample: sample.name, format: 'npy' });
      const byToken = await client.readActivation('input', { input: classified.input.token, format: 'npy' });
      expect(bySample.values).toEqual(byToken.values);
      expect((await client.readActivation('input')).input).toMatchObject({ sample: usual });
      expect((await client.explain({ sample: sample.name })).input).toEqual({
        sample: sample.name,
        label: sample.label,
      });
    });

    test('explains a class by its map, by hiding patches, and as pictures', async () => {
      const [best] = answer.predictions;
      const input = { input: answer.input.token };
      const explanation = await client.explain({ ...input, top: 3 });
      expect(explanation.class).toEqual(best);
      expect(explanation.channels.length).toBe(3);
      const sum = explanation.contributions.reduce((total, each) => total + each, explanation.bias);
      expect(sum).toBeCloseTo(best?.logit ?? Number.NaN, 3);
      expect(await client.explain({ picture, top: 3, class: best?.index, model: 'champion' })).toMatchObject({
        map: explanation.map,
      });

      const [height, width] = manifest.architecture.inputShape;
      const options = { method: 'occlusion', patch: height / 2, stride: width / 2 } as const;
      const hidden = await client.explain({ ...input, ...options, channel: CHANNEL });
      expect(hidden.map).toMatchObject({ height: 2, width: 2 });
      expect((await client.explain({ picture, ...options, channel: CHANNEL })).map).toEqual(hidden.map);

      const named = { class: best?.label, format: 'png', scale: 2 } as const;
      const drawn = await client.explain({ ...input, ...named, model: 'champion' });
      expect(drawn).toMatchObject({ class: best?.index, min: explanation.map.min, max: explanation.map.max });
      const posted = await client.explain({ picture, ...named });
      expect(await posted.picture.arrayBuffer()).toEqual(await drawn.picture.arrayBuffer());
    });

    test('evaluates records and files of pictures step by step', async () => {
      const [best] = answer.predictions;
      if (best === undefined) throw new Error('no prediction');
      const steps = [];
      const records = new Blob(Array.from({ length: 12 }, (_, index) => recordOf(index < 9 ? best.index : 0)));
      for await (const step of client.evaluate({ records }, { channel: CHANNEL })) steps.push(step);
      expect(steps.map(({ type }) => type)).toEqual(['start', 'progress', 'result']);
      const correct = best.index === 0 ? 12 : 9;
      expect(steps.at(-1)).toMatchObject({ report: { n: 12, correct } });

      const pictures = [
        { picture, label: best.label },
        { picture: new Blob([picture]), label: (best.index + 1) % manifest.classNames.length },
      ];
      const last = [];
      for await (const step of client.evaluate({ pictures }, { model: 'champion' })) last.push(step);
      expect(last.at(-1)).toMatchObject({ type: 'result', report: { n: 2, correct: 1 } });
    });

    test('throws the problem of a picture in the middle of an evaluation', async () => {
      const label = answer.predictions[0]?.label ?? '';
      const pictures = [
        { picture, label },
        { picture: picture.slice(0, 60), label },
      ];
      const readAll = async (): Promise<void> => {
        for await (const step of client.evaluate({ pictures })) expect(step.type).not.toBe('result');
      };
      expect(await failureOf(readAll())).toMatchObject({ code: 'image/truncated', status: 422 });
    });

    test('reads models, their evaluations and their history, and whether the server answers', async () => {
      const { models } = await client.listModels({ channel: CHANNEL });
      expect(models[0]).toMatchObject({ id: manifest.modelId, name: manifest.name });
      expect((await client.readHistory({ channel: CHANNEL })).events.at(-1)).toMatchObject({ action: 'start' });
      const evaluation = await client.readEvaluation({ channel: CHANNEL });
      expect(evaluation.model.id).toBe(manifest.modelId);
      expect(await client.readEvaluation({ model: 'champion' })).toEqual(evaluation);
      const comparison = await client.compareModels('champion', manifest.modelId);
      expect(comparison).toMatchObject({ change: 0, p: 1, agreement: { value: 1 } });
      const metrics = await client.readMetrics().catch((error: unknown) => error);
      expect(metrics).toSatisfy((value) => value instanceof ApiError || String(value).startsWith('# HELP '));
      await client.checkLiveness();
      expect((await client.checkReadiness()).model).toBe(manifest.modelId);
    });

    test('speaks the Open Inference Protocol in bytes, with the logits of /classify', async () => {
      expect((await oip.describeServer()).extensions).toContain('binary_tensor_data');
      expect(await oip.isLive()).toBe(true);
      expect(await oip.isReady()).toBe(true);
      expect(await oip.listModels()).toContain(CHANNEL);
      const { inputs, versions } = await oip.describeModel(CHANNEL);
      const version = { version: versions[0] ?? 'champion' };
      expect((await oip.describeModel(CHANNEL, version)).inputs).toEqual(inputs);
      expect(await oip.isModelReady(CHANNEL)).toBe(true);
      expect(await oip.isModelReady(CHANNEL, version)).toBe(true);
      expect(await oip.listIndex({ ready: true })).toContainEqual(
        expect.objectContaining({ name: CHANNEL, state: 'READY' }),
      );

      const image = { name: 'image', datatype: 'UINT8', shape: [1, ...manifest.architecture.inputShape], data: pixels };
      const { outputs, ...head } = await oip.infer(CHANNEL, { inputs: [image], outputs: ['logits', LAYER], id: '7' });
      expect(head).toMatchObject({ model: CHANNEL, id: '7' });
      const logits = outputs.get('logits');
      expect(logits?.shape).toEqual([1, manifest.classNames.length]);
      for (const { index, logit } of answer.predictions) expect(logits?.values[index]).toBeCloseTo(logit, 5);
      const array = await client.readActivation(LAYER, { input: answer.input.token, format: 'npy' });
      expect(outputs.get(LAYER)).toEqual({ shape: [1, ...array.shape], values: array.values });
      const versioned = await oip.infer(CHANNEL, { inputs: [image], ...version });
      expect([...versioned.outputs.keys()]).toEqual(['logits', 'probs']);
      expect(versioned.outputs.get('logits')?.values).toEqual(logits?.values);
    });

    test('tells the problem of the server, and the error of the protocol below /v2', async () => {
      const failure = await failureOf(client.readActivation('layer9'));
      expect(failure).toMatchObject({ code: 'layer/unknown', status: 404, isTemporary: false });
      expect(failure.detail).toMatch(/layer9/);
      expect(failure.details['layers']).toContain(LAYER);
      expect(await failureOf(client.classify(new Uint8Array(0)))).toMatchObject({ code: 'request/empty' });
      const both = client.explain({ input: answer.input.token, sample: 'cat-ginger' });
      expect(await failureOf(both)).toMatchObject({ code: 'request/invalid', status: 400 });
      const refused = await failureOf(oip.describeModel('nobody'));
      expect(refused).toMatchObject({ code: 'client/refused', status: 404 });
      expect(refused.detail).toMatch(/nobody/);
    });

    test('rejects with the reason of its signal', async () => {
      const controller = new AbortController();
      const reason = new Error('changed my mind');
      controller.abort(reason);
      await expect(client.classify(picture, { signal: controller.signal })).rejects.toBe(reason);
    });

    test('asks in these tests for every route and parameter of the OpenAPI document, and for no other', async () => {
      const text = await target().fetch(new Request(new URL('/openapi.json', target().url)));
      const { paths } = documentSchema.parse(await text.json());
      const documented = Object.entries(paths).flatMap(([path, operations]) =>
        Object.entries(operations).flatMap(([method, { parameters }]) => {
          const operation = `${method.toUpperCase()} ${path}`;
          return [
            operation,
            ...parameters.filter((each) => each.in === 'query').map(({ name }) => `${operation} ?${name}`),
          ];
        }),
      );
      const seen = asked.flatMap(({ method, url }) => {
        const { pathname, searchParams } = new URL(url);
        const path = findPath(Object.keys(paths), pathname);
        // The pictures of the samples are files.
        if (path === undefined && pathname.startsWith('/samples/')) return [];
        const operation = `${method} ${path ?? pathname}`;
        return [operation, ...[...searchParams.keys()].map((name) => `${operation} ?${name}`)];
      });
      expect([...new Set(seen)].toSorted()).toEqual(documented.toSorted());
    });
  });
}

/** The documented path that a request went to; one without parameters goes before one with. */
function findPath(paths: readonly string[], pathname: string): string | undefined {
  const fits = paths.filter((path) => {
    const [parts, actual] = [path.split('/'), pathname.split('/')];
    return parts.length === actual.length && parts.every((part, at) => part.startsWith('{') || part === actual[at]);
  });
  return fits.find((path) => path === pathname) ?? fits[0];
}
