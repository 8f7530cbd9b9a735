/**
 * What the API promises, as one suite that runs against a real Node server and inside workerd. It knows no model: what
 * an answer must be follows from other answers (logits from a layer's values, pixels from the token).
 */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  activationSchema,
  batchClassificationSchema,
  classificationSchema,
  healthSchema,
  layerListSchema,
  modelDetailSchema,
  modelHistorySchema,
  modelListSchema,
  readinessSchema,
  sampleListSchema,
  type Activation,
} from '../../shared/api.ts';
import { softmax } from '../../shared/classification.ts';
import { decodePng } from '../../shared/image/png-decode.ts';
import { decodeInputToken } from '../../shared/image/token.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { normalizePixels } from '../../shared/normalize.ts';
import { sizeOf } from '../../shared/resnet.ts';
import {
  classify,
  drawPicture,
  findFixture,
  formOf,
  readAnswer,
  readProblem,
  type Send,
  toBase64,
} from './api-client.ts';

export function describeApi(platform: string, send: Send): void {
  let manifest: ModelManifest;
  let picture: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    manifest = await readAnswer(await send('/models/champion'), modelDetailSchema);
    picture = await drawPicture({ width: 40, height: 24 });
  });

  async function activation(path: string): Promise<Activation> {
    const response = await send(path);
    expect(response.headers.get('x-model-id')).toBe(manifest.modelId);
    return readAnswer(response, activationSchema);
  }

  describe(`POST /classify on ${platform}`, () => {
    test('ranks the classes by the model’s logits, with probabilities that add up to one', async () => {
      const { predictions, model, input } = await classify(send, picture, `?top_k=${manifest.classNames.length}`);
      expect(model).toEqual({ id: manifest.modelId, name: manifest.name, channel: 'resnet18', seq: 0, mode: 'fast' });
      expect(input).toMatchObject({ width: 40, height: 24 });
      const logits = predictions.map(({ logit }) => logit);
      expect(logits).toEqual(logits.toSorted((a, b) => b - a));
      softmax(logits, manifest.temperature).forEach((probability, rank) => {
        expect(predictions[rank]?.score).toBeCloseTo(probability, 8);
      });
      expect(predictions.map(({ label, index }) => manifest.classNames[index] === label)).not.toContain(false);
      expect(new Set(predictions.map(({ index }) => index)).size).toBe(manifest.classNames.length);
    });

    test('lists five classes, or as many as are asked for', async () => {
      const all = await classify(send, picture, `?top_k=${manifest.classNames.length}`);
      const usual = await classify(send, picture);
      expect(usual.predictions).toEqual(all.predictions.slice(0, 5));
      expect((await classify(send, picture, '?top_k=1')).predictions).toEqual(all.predictions.slice(0, 1));
    });

    test('gives the bare list that other clients expect, for bytes and for JSON', async () => {
      const { predictions } = await classify(send, picture, '?top_k=3');
      const expected = predictions.map(({ label, score }) => ({ label, score }));
      const raw = await send('/classify?format=list&top_k=3', { method: 'POST', body: picture });
      expect(raw.headers.get('x-model-id')).toBe(manifest.modelId);
      expect(await raw.json()).toEqual(expected);
      const json = await send('/classify/json?format=list&top_k=3', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ image: toBase64(picture) }),
      });
      expect(await json.json()).toEqual(expected);
    });

    test.each(['application/x-www-form-urlencoded', 'application/json', 'text/plain', 'image/png'])(
      'looks at the bytes, not at the content type %s',
      async (type) => {
        const response = await send('/classify', { method: 'POST', body: picture, headers: { 'content-type': type } });
        expect(response.headers.get('x-model-id')).toBe(manifest.modelId);
        expect(await readAnswer(response, classificationSchema)).toEqual(await classify(send, picture));
      },
    );

    test.each(['JPEG progressive', 'JPEG with EXIF orientation 6', 'WebP lossless', 'PNG palette 4 bit interlaced'])(
      'takes a %s',
      async (name) => {
        const { file, width, height } = findFixture(name);
        const { input, predictions } = await classify(send, file);
        expect([input.width, input.height]).toEqual([width, height]);
        expect(predictions[0]?.score).toBeGreaterThan(0);
      },
    );

    test('gives a token that holds exactly what the model saw', async () => {
      const { input } = await classify(send, picture);
      const pixels = await decodeInputToken(input.token, sizeOf(manifest.architecture.inputShape));
      expect(input.sha256).toBe(await hash(pixels));
      const seen = await activation(`/activations/input?input=${input.token}&values=true`);
      expect(seen.values).toEqual(Array.from(normalizePixels(pixels, manifest.preprocess), toDecimal));
      expect(seen.input).toEqual({ sha256: input.sha256 });
    });

    test('answers each file of a form in order, the bad ones with their problem', async () => {
      const other = await drawPicture({ width: 9, height: 30 });
      const form = formOf([
        { name: 'one.png', bytes: picture },
        { name: 'bad.txt', bytes: new TextEncoder().encode('no picture') },
        { name: 'empty.png', bytes: new Uint8Array(0) },
        { name: 'zwei ü.png', bytes: other },
        { name: 'large', bytes: new Uint8Array(8 * 1024 * 1024 + 1) },
      ]);
      const response = await send('/classify?top_k=2', { method: 'POST', body: form });
      const { model, results } = await readAnswer(response, batchClassificationSchema);
      expect(model.id).toBe(manifest.modelId);
      expect(results.map(({ file }) => file)).toEqual(['one.png', 'bad.txt', 'empty.png', 'zwei ü.png', 'large']);
      const { model: _model, ...alone } = await classify(send, picture, '?top_k=2');
      expect(results[0]).toEqual({ file: 'one.png', ...alone });
      expect(results[1]).toMatchObject({ problem: { code: 'image/unknown-type', status: 415 } });
      expect(results[2]).toMatchObject({ problem: { code: 'image/empty', status: 400 } });
      expect(results[3]).toMatchObject({ predictions: (await classify(send, other, '?top_k=2')).predictions });
      expect(results[4]).toMatchObject({ problem: { code: 'image/too-large', status: 413 } });
    });

    test('takes 32 files', async () => {
      const form = formOf(Array.from({ length: 32 }, (_, index) => ({ name: `${index}.png`, bytes: picture })));
      const response = await send('/classify', { method: 'POST', body: form });
      const { results } = await readAnswer(response, batchClassificationSchema);
      expect(results.map(({ file }) => file)).toEqual(Array.from({ length: 32 }, (_, index) => `${index}.png`));
      expect(results.every((result) => 'predictions' in result)).toBe(true);
    });

    test.each(['', 'data:image/png;base64,', 'data:;BASE64,'])(
      'answers the same to base64 in JSON (%s)',
      async (prefix) => {
        const response = await send('/classify/json?top_k=3', {
          method: 'POST',
          headers: { 'content-type': 'application/json; charset=utf-8' },
          body: JSON.stringify({ image: prefix + toBase64(picture) }),
        });
        expect(await readAnswer(response, classificationSchema)).toEqual(await classify(send, picture, '?top_k=3'));
      },
    );
  });

  describe(`/activations on ${platform}`, () => {
    test('lists the layers of the manifest', async () => {
      const { layers } = await readAnswer(await send('/activations'), layerListSchema);
      expect(layers).toEqual(
        manifest.layers.map(({ name, kind, shape, parameters }) => ({ name, kind, shape, parameters })),
      );
    });

    test('gives values whose statistics are those of the answer', async () => {
      const { values = [], channels, layer } = await activation('/activations/layer1?values=true');
      const count = layer.shape[2] ?? 0;
      expect(values.length).toBe(sizeOf(layer.shape));
      expect(channels.length).toBe(count);
      for (const channel of [0, count - 1]) {
        const own = values.filter((_, index) => index % count === channel);
        const { min, max, mean, zeros, dead } = channels[channel] ?? expect.fail('no such channel');
        expect([min, max]).toEqual([Math.min(...own), Math.max(...own)]);
        expect(mean).toBeCloseTo(own.reduce((a, b) => a + b, 0) / own.length, 5);
        expect(zeros).toBe(toDecimal(own.filter((value) => value === 0).length / own.length));
        expect(dead).toBe(zeros === 1);
      }
    });

    test('agrees with /classify: logits and probabilities are the last layers', async () => {
      const { predictions, input } = await classify(send, picture, `?top_k=${manifest.classNames.length}`);
      const logits = await activation(`/activations/linear?values=true&input=${input.token}`);
      expect(predictions.map(({ index }) => logits.values?.[index])).toEqual(predictions.map(({ logit }) => logit));
      const probabilities = await activation(`/activations/probs?values=true&input=${input.token}`);
      softmax(logits.values ?? []).forEach((expected, index) => {
        expect(probabilities.values?.[index]).toBeCloseTo(expected, 5);
      });
    });

    test('shows the same for an uploaded picture, raw or as a form, and for its token', async () => {
      const { input } = await classify(send, picture);
      const expected = await activation(`/activations/layer2?values=true&input=${input.token}`);
      const path = '/activations/layer2?values=true';
      const raw = await send(path, { method: 'POST', body: picture });
      expect(raw.headers.get('cache-control')).toBe('no-store');
      expect(await readAnswer(raw, activationSchema)).toEqual(expected);
      const form = await send(path, { method: 'POST', body: formOf([{ name: 'a.png', bytes: picture }]) });
      expect(await readAnswer(form, activationSchema)).toEqual(expected);
    });

    test('takes the default sample when nothing is named', async () => {
      const { default: preferred, samples } = await readAnswer(await send('/samples'), sampleListSchema);
      const usual = await activation('/activations/layer1');
      expect(usual.input).toEqual({ sample: preferred, label: 'automobile' });
      expect(await activation(`/activations/layer1?sample=${preferred}`)).toEqual(usual);
      const other = samples.find(({ name }) => name !== preferred) ?? expect.fail('one sample only');
      const shown = await activation(`/activations/layer1?sample=${other.name}`);
      expect(shown.input).toEqual({ sample: other.name, label: other.label });
      expect(shown.channels).not.toEqual(usual.channels);
    });

    test.each(['layer', 'channel'])('draws all channels as a PNG, black to white by %s', async (range) => {
      const { values = [], layer } = await activation('/activations/layer1?values=true');
      const [height = 0, width = 0, channels = 0] = layer.shape;
      const response = await send(`/activations/layer1?format=png&range=${range}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('image/png');
      expect(Number(response.headers.get('x-activation-min'))).toBeCloseTo(Math.min(...values), 6);
      expect(Number(response.headers.get('x-activation-max'))).toBeCloseTo(Math.max(...values), 5);
      const columns = Number(response.headers.get('x-activation-columns'));
      const drawn = await decodePng(new Uint8Array(await response.arrayBuffer()));
      expect(drawn.width).toBe(columns * (width + 1) - 1);
      expect(drawn.height).toBe(Math.ceil(channels / columns) * (height + 1) - 1);

      for (const channel of [0, 1, channels - 1]) {
        const own = values.filter((_, index) => index % channels === channel);
        const extent = range === 'layer' ? values : own;
        const [min, max] = [Math.min(...extent), Math.max(...extent)];
        for (const [y, x] of [
          [0, 0],
          [height - 1, 1],
          [2, width - 1],
        ] as const) {
          const left = (channel % columns) * (width + 1) + x;
          const top = Math.floor(channel / columns) * (height + 1) + y;
          const value = own[y * width + x] ?? Number.NaN;
          const grey = max > min ? ((value - min) / (max - min)) * 255 : 0;
          expect(Math.abs((drawn.pixels[(top * drawn.width + left) * 3] ?? -1) - grey)).toBeLessThanOrEqual(0.51);
        }
      }
      expect(drawn.pixels[width * 3]).toBe(128);
    });

    test('gives the same channels in every form', async () => {
      const path = '/activations/layer2';
      const whole = await activation(`${path}?values=true`);
      const count = whole.layer.shape[2] ?? 0;
      const wanted = [count - 1, 0, 1];
      const query = `channels=${count - 1},0-1`;
      const chosen = await activation(`${path}?${query}&values=true`);
      expect(chosen.channels).toEqual(wanted.map((channel) => whole.channels[channel]));
      expect(chosen.values).toEqual(
        whole.values?.flatMap((_, index, all) => (index % count === 0 ? wanted.map((each) => all[index + each]) : [])),
      );

      const npy = await send(`${path}?${query}&format=npy`);
      expect(npy.headers.get('content-type')).toBe('application/x-npy');
      expect(npy.headers.get('x-activation-channels')).toBe(`${count - 1},0-1`);
      const [height = 0, width = 0] = whole.layer.shape;
      expect(npy.headers.get('x-activation-shape')).toBe(`${height},${width},3`);
      const array = await npy.arrayBuffer();
      const start = 10 + new DataView(array).getUint16(8, true);
      const header = new TextDecoder('latin1').decode(array.slice(10, start));
      expect(header).toContain(`'descr': '<f4', 'fortran_order': False, 'shape': (${height}, ${width}, 3)`);
      expect(Array.from(new Float32Array(array.slice(start)), toDecimal)).toEqual(chosen.values);

      const atlas = await send(`${path}?${query}`, { headers: { accept: 'application/octet-stream' } });
      expect(atlas.headers.get('content-type')).toBe('application/octet-stream');
      expect(atlas.headers.get('x-activation-shape')).toBe(`3,${height},${width}`);
      const bytes = await atlas.arrayBuffer();
      const extents = new Float32Array(bytes.slice(0, 3 * 8));
      const greys = new Uint8Array(bytes, 3 * 8);
      expect(greys.length).toBe(3 * height * width);
      chosen.channels.forEach(({ min, max }, index) => {
        expect(Array.from(extents.subarray(2 * index, 2 * index + 2), toDecimal)).toEqual([min, max]);
        for (const place of [0, 1, height * width - 1]) {
          const value = chosen.values?.[place * 3 + index] ?? Number.NaN;
          const restored = min + ((greys[index * height * width + place] ?? 0) / 255) * (max - min);
          expect(Math.abs(restored - value)).toBeLessThanOrEqual((max - min) * 0.00197 + 1e-6);
        }
      });

      const png = await send(`${path}?${query}&format=png&scale=2`);
      expect(png.headers.get('x-activation-channels')).toBe(`${count - 1},0-1`);
      const drawn = await decodePng(new Uint8Array(await png.arrayBuffer()));
      expect([drawn.width, drawn.height]).toEqual([2 * (2 * width + 1) - 1, 2 * (2 * height + 1) - 1]);
    });

    test('lists the strongest channels, by the mean of absolute values', async () => {
      const { values = [], layer } = await activation('/activations/layer1.0.conv1?values=true');
      const count = layer.shape[2] ?? 0;
      const strengths = Array.from({ length: count }, (_, channel) =>
        values.reduce((sum, value, index) => sum + (index % count === channel ? Math.abs(value) : 0), 0),
      );
      const order = strengths
        .map((_, channel) => channel)
        .toSorted((a, b) => (strengths[b] ?? 0) - (strengths[a] ?? 0));
      const { channels } = await activation('/activations/layer1.0.conv1?top=3');
      expect(channels.map(({ channel }) => channel)).toEqual(order.slice(0, 3));
    });

    test('gives features as an array of one dimension, and the input as the model takes it', async () => {
      const probabilities = await activation('/activations/probs?values=true');
      const npy = await send('/activations/probs', { headers: { accept: 'application/x-npy' } });
      const array = await npy.arrayBuffer();
      const start = 10 + new DataView(array).getUint16(8, true);
      expect(new TextDecoder('latin1').decode(array.slice(10, start))).toContain(
        `'shape': (${manifest.classNames.length},)`,
      );
      expect(Array.from(new Float32Array(array.slice(start)), toDecimal)).toEqual(probabilities.values);
      const input = await send('/activations/input?format=atlas');
      expect(input.headers.get('x-activation-shape')).toBe(
        [3, ...manifest.architecture.inputShape.slice(0, 2)].join(','),
      );
      await input.arrayBuffer();
    });

    test('draws features as a strip', async () => {
      const response = await send('/activations/probs', { headers: { accept: 'image/png' } });
      expect(response.headers.get('content-type')).toBe('image/png');
      const drawn = await decodePng(new Uint8Array(await response.arrayBuffer()));
      const cell = Math.floor(512 / manifest.classNames.length);
      expect(drawn.width).toBe(cell * manifest.classNames.length);
      const { channels } = await activation('/activations/probs');
      const likeliest = channels.reduce((a, b) => (b.mean > a.mean ? b : a)).channel;
      expect(drawn.pixels[(likeliest * cell + 1) * 3]).toBe(255);
    });

    test.each(['', '?sample=cat-ginger', '?format=png'])(
      'is cached until model, picture or options change (%s)',
      async (query) => {
        const first = await send(`/activations/layer1${query}`);
        const etag = first.headers.get('etag') ?? expect.fail('no ETag');
        expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
        expect(first.headers.get('cache-control')).toBe('no-cache');
        expect(first.headers.get('vary')).toMatch(/accept/i);
        await first.arrayBuffer();
        for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
          const again = await send(`/activations/layer1${query}`, { headers: { 'if-none-match': known } });
          expect(again.status).toBe(304);
          expect(again.headers.get('etag')).toBe(etag);
          expect(await again.text()).toBe('');
        }
        const others = [
          '/activations/layer2',
          '/activations/layer1?values=true',
          '/activations/layer1?sample=truck-blue',
        ];
        for (const path of others) {
          const other = await send(path, { headers: { 'if-none-match': etag } });
          expect(other.status).toBe(200);
          await other.arrayBuffer();
        }
      },
    );

    test('says how long an answer may be kept, and by whom', async () => {
      const { input } = await classify(send, picture);
      const { modelId } = manifest;
      const year = 'max-age=31536000, immutable';
      for (const [query, rule] of [
        ['', 'no-cache'],
        ['?model=champion', 'no-cache'],
        [`?model=${modelId.slice(0, 16)}`, 'no-cache'],
        ['?channel=resnet18', 'no-cache'],
        [`?model=${modelId}`, `public, ${year}`],
        [`?model=${modelId}&sample=cat-ginger&format=png`, `public, ${year}`],
        [`?input=${input.token}`, 'private, no-cache'],
        [`?input=${input.token}&model=${modelId}`, `private, ${year}`],
      ] as const) {
        for (const method of ['GET', 'HEAD']) {
          const response = await send(`/activations/layer1${query}`, { method });
          expect(response.headers.get('cache-control'), query).toBe(rule);
          await response.arrayBuffer();
        }
        const etag = (await send(`/activations/layer1${query}`, { method: 'HEAD' })).headers.get('etag') ?? '';
        const again = await send(`/activations/layer1${query}`, { headers: { 'if-none-match': etag } });
        expect([again.status, again.headers.get('cache-control')], query).toEqual([304, rule]);
      }
      const refused = await send(`/activations/layer1?model=${modelId}&channels=99999`);
      expect(refused.headers.get('cache-control')).toBe('no-store');
      expect(refused.headers.get('etag')).toBeNull();
      await refused.arrayBuffer();
    });

    test('has another ETag for every other question', async () => {
      const { input } = await classify(send, picture);
      const queries = [
        '',
        `?model=${manifest.modelId}`,
        '?channels=0',
        '?channels=1',
        '?top=1',
        '?values=true',
        '?format=png',
      ];
      queries.push('?format=png&scale=2', '?format=png&range=channel', '?format=npy', '?format=atlas');
      queries.push('?sample=cat-ginger', `?input=${input.token}`);
      const etags = new Set<string | null>();
      for (const query of queries) {
        const response = await send(`/activations/layer1${query}`, { method: 'HEAD' });
        expect(response.status, query).toBe(200);
        etags.add(response.headers.get('etag'));
      }
      expect(etags.size).toBe(queries.length);
    });
  });

  describe(`everything else on ${platform}`, () => {
    test('names the model by its id, its beginning and its aliases', async () => {
      const { models } = await readAnswer(await send('/models'), modelListSchema);
      const { modelId: id, name, classNames, architecture } = manifest;
      expect(models[0]).toMatchObject({ id, name, classNames, architecture });
      expect(models[0]?.aliases.slice(0, 2)).toEqual(['champion', 'resnet18']);
      expect(models.at(-1)?.aliases).toContain('shipped');
      for (const named of [id, id.slice(0, 8), 'champion', 'resnet18']) {
        const response = await send(`/models/${named}`);
        expect(response.headers.get('x-model-id')).toBe(id);
        expect(await readAnswer(response, modelDetailSchema)).toEqual(manifest);
      }
    });

    test('answers with the model that a request names, and says whether a pointer chose it', async () => {
      const { modelId: id, name } = manifest;
      const named = { id, name, channel: null, seq: null, mode: 'fast' };
      const chosen = { id, name, channel: 'resnet18', seq: 0, mode: 'fast' };
      for (const [choice, model] of [
        [`model=${id}`, named],
        [`model=${id.slice(0, 12)}`, named],
        ['model=champion', chosen],
        ['channel=resnet18', chosen],
      ] as const) {
        const classified = await send(`/classify?${choice}`, { method: 'POST', body: picture });
        expect(classified.headers.get('x-model-id'), choice).toBe(id);
        expect(classified.headers.get('x-model-seq'), choice).toBe(model.seq === null ? null : '0');
        expect((await readAnswer(classified, classificationSchema)).model, choice).toEqual(model);
        const layer = await send(`/activations/layer1?${choice}`, { method: 'POST', body: picture });
        expect((await readAnswer(layer, activationSchema)).model, choice).toEqual(model);
        expect((await readAnswer(await send(`/activations?${choice}`), layerListSchema)).model, choice).toEqual(model);
        expect((await activation(`/activations/layer1?${choice}`)).model, choice).toEqual(model);
      }
    });

    test('has a history that begins with the start', async () => {
      const history = await readAnswer(await send('/models/history'), modelHistorySchema);
      expect(history).toEqual({
        channel: 'resnet18',
        events: [{ seq: 0, action: 'start', champion: manifest.modelId, at: null }],
      });
    });

    test('offers samples that it can classify', async () => {
      const { samples, default: preferred } = await readAnswer(await send('/samples'), sampleListSchema);
      expect(
        samples
          .map(({ label }) => label)
          .toSorted()
          .join(' '),
      ).toBe('airplane automobile bird cat deer dog frog horse ship truck');
      expect(samples.map(({ name }) => name)).toContain(preferred);
    });

    test('is alive and ready', async () => {
      expect(await readAnswer(await send('/healthz'), healthSchema)).toEqual({ status: 'ok' });
      expect(await readAnswer(await send('/readyz'), readinessSchema)).toEqual({
        status: 'ok',
        model: manifest.modelId,
      });
    });

    test('lets pages of any origin in, without credentials', async () => {
      const preflight = await send('/classify', {
        method: 'OPTIONS',
        headers: { origin: 'https://example.org', 'access-control-request-method': 'POST' },
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
      expect(preflight.headers.get('access-control-allow-methods')).toBe('GET,HEAD,POST');
      expect(preflight.headers.get('access-control-allow-credentials')).toBeNull();
      const answer = await send('/healthz', { headers: { origin: 'https://example.org' } });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.get('access-control-expose-headers')).toContain('x-model-id');
    });

    test('says what a file can be asked for, and knows no preflight of nothing', async () => {
      for (const path of ['/', '/index.html', '/favicon.svg', `/models/${manifest.modelId}/manifest.json`]) {
        if (path.endsWith('manifest.json') && platform === 'Node') continue;
        const file = await send(path);
        expect(file.status, path).toBe(200);
        expect(file.headers.get('access-control-allow-origin'), path).toBe('*');
        await file.arrayBuffer();
        for (const method of ['POST', 'PUT', 'DELETE']) {
          const refused = await send(path, { method });
          expect(refused.headers.get('allow'), path).toBe('GET, HEAD');
          expect(await readProblem(refused)).toMatchObject({ status: 405, code: 'route/method' });
        }
        const preflight = await send(path, { method: 'OPTIONS' });
        expect([preflight.status, preflight.headers.get('allow')], path).toEqual([204, 'GET, HEAD']);
      }
    });

    test('answers 304 to who has a file already', async () => {
      const file = await send('/favicon.svg');
      const etag = file.headers.get('etag') ?? expect.fail('no ETag');
      await file.arrayBuffer();
      const again = await send('/favicon.svg', { headers: { 'if-none-match': etag } });
      expect([again.status, await again.text()]).toEqual([304, '']);
      expect(again.headers.get('etag')).toBe(etag);
    });

    test.each([
      '/',
      '/favicon.svg',
      '/samples/cat-ginger.png',
      '/activations',
      '/activations/layer1',
      '/explain',
      '/models',
      '/models/history',
      '/evaluation',
      '/models/champion/evaluation',
      '/samples',
      '/healthz',
      '/readyz',
      '/openapi.json',
      '/docs',
    ])('answers HEAD %s as GET without the body', async (path) => {
      const get = await send(path);
      const head = await send(path, { method: 'HEAD' });
      expect(head.status).toBe(200);
      expect(await head.text()).toBe('');
      for (const name of ['content-type', 'etag', 'x-model-id', 'x-content-type-options']) {
        expect(head.headers.get(name), name).toBe(get.headers.get(name));
      }
    });

    test('describes each of its routes in OpenAPI 3.1, and nothing that it lacks', async () => {
      const document = (await (await send('/openapi.json')).json()) as {
        openapi: string;
        paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
        components: { schemas: Record<string, unknown> };
      };
      expect(document.openapi).toBe('3.1.0');
      const names = Object.values(document.paths).flatMap((item) =>
        Object.values(item).map(({ operationId }) => operationId),
      );
      expect(new Set(names).size).toBe(names.length);
      const text = JSON.stringify(document);
      const referred = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? '');
      expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(referred));
      for (const [path, item] of Object.entries(document.paths)) {
        const real = path.replace('{layer}', 'layer1').replace(/\{(id|a|b)\}/g, 'champion');
        const wrong = await send(real, { method: 'DELETE' });
        expect(wrong.status, path).toBe(405);
        const documented = Object.keys(item).flatMap((method) =>
          method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
        );
        expect(wrong.headers.get('allow')?.split(', '), path).toEqual(documented.toSorted());
      }
    });

    test('says which pictures it takes, how they are prepared and what it refuses', async () => {
      const html = await (await send('/docs')).text();
      const start = html.indexOf('<section id="pictures">');
      const section = html.slice(start, html.indexOf('</section>', start));
      for (const fact of [
        manifest.preprocess.id,
        '8 MiB',
        '8388608',
        '4194304',
        '32 files',
        '32 MiB',
        'CMYK',
        'animated WebP',
      ]) {
        expect(section).toContain(fact);
      }
      const codes = [...section.matchAll(/href="#([^"]+)"/g)].map(([, code]) => code);
      expect(codes).toEqual([
        'image/too-large',
        'image/too-many-pixels',
        'image/unknown-type',
        'image/unsupported',
        'image/truncated',
        'image/corrupt',
        'request/too-many-files',
        'request/too-large',
      ]);
      const { paths } = (await (await send('/openapi.json')).json()) as {
        paths: Record<string, { post?: { description: string } }>;
      };
      expect(paths['/classify']?.post?.description).toContain('8 MiB and 4194304 pixels, a form 32 MiB');
    });

    test('explains itself on one page that asks nobody for anything', async () => {
      const response = await send('/docs');
      const html = await response.text();
      for (const id of ['classify', 'readActivation', 'schema-Classification', 'image/truncated']) {
        expect(html).toContain(`id="${id}"`);
      }
      const anchors = new Set([...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
      const links = [...html.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
      expect(links.filter((id) => !anchors.has(id))).toEqual([]);
      expect(html).not.toMatch(/<img|<link|@import|url\(|src=|fetch\(/);
      for (const part of ['style', 'script']) {
        const [, text = '', ...others] = html.split(new RegExp(`</?${part}>`));
        expect(others.length, part).toBe(1);
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
        expect(response.headers.get('content-security-policy')).toContain(`${part}-src 'sha256-${toBase64(digest)}'`);
      }
    });
  });
}

async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A float32 as the API writes values. */
function toDecimal(value: number): number {
  return Number(Math.fround(value).toPrecision(9));
}
