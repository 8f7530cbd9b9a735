/** What /explain promises, on every platform: it is held to /classify and /activations, which know nothing of it. */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  activationSchema,
  explanationSchema,
  modelDetailSchema,
  occlusionSchema,
  type Explanation,
} from '../../shared/api.ts';
import { decodePng } from '../../shared/image/png-decode.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { classify, drawPicture, formOf, readAnswer, readProblem, type Send } from './api-client.ts';

export function describeExplain(platform: string, send: Send): void {
  let manifest: ModelManifest;
  let picture: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    manifest = await readAnswer(await send('/models/champion'), modelDetailSchema);
    picture = await drawPicture({ width: 40, height: 24 });
  });

  async function explain(query: string): Promise<Explanation> {
    const response = await send(`/explain${query}`);
    expect(response.headers.get('x-model-id')).toBe(manifest.modelId);
    return readAnswer(response, explanationSchema);
  }

  describe(`/explain on ${platform}`, () => {
    test('explains any class of a classified picture, to the logit that /classify gave it', async () => {
      const { predictions, input } = await classify(send, picture, `?top_k=${manifest.classNames.length}`);
      const [first, , third] = predictions;
      for (const [query, expected] of [
        ['', first],
        [`&class=${third?.label}`, third],
        [`&class=${third?.index}`, third],
      ] as const) {
        const answer = await explain(`?input=${input.token}${query}`);
        const { class: shown, map, bias, residual, contributions } = answer;
        expect(shown).toEqual(expected);
        expect(answer.input).toEqual({ sha256: input.sha256 });
        const largest = Math.max(...predictions.map(({ logit }) => Math.abs(logit)));
        expect(residual).toBeLessThan(1e-4 * largest);
        expect(map.values.length).toBe(map.height * map.width);
        const mean = map.values.reduce((a, b) => a + b, 0) / map.values.length;
        expect(mean).toBeCloseTo(map.mean, 6);
        expect(Math.abs(mean + bias - shown.logit)).toBeCloseTo(residual, 6);
        expect(contributions.reduce((a, b) => a + b, bias)).toBeCloseTo(shown.logit, 4);
        expect([map.min, map.max]).toEqual([Math.min(...map.values), Math.max(...map.values)]);
      }
    });

    test('lists the channels that contribute most, with links to what each puts out', async () => {
      const { layer, contributions, channels } = await explain('?top=3');
      const absolutes = contributions.map(Math.abs);
      const total = absolutes.reduce((a, b) => a + b, 0);
      const order = absolutes.map((_, index) => index).toSorted((a, b) => (absolutes[b] ?? 0) - (absolutes[a] ?? 0));
      expect(channels.map(({ channel }) => channel)).toEqual(order.slice(0, 3));
      expect(contributions.length).toBe(layer.shape[2]);
      for (const { channel, mean, weight, contribution, share, url } of channels) {
        expect(contribution).toBe(contributions[channel]);
        expect(mean * weight).toBeCloseTo(contribution, 6);
        expect(share).toBeCloseTo(Math.abs(contribution) / total, 6);
        expect(url).toContain(`/activations/${layer.name}?channels=${channel}&`);
        const linked = await readAnswer(await send(url), activationSchema);
        expect(linked.channels).toEqual([expect.objectContaining({ channel })]);
        expect(linked.channels[0]?.mean).toBeCloseTo(mean, 6);
      }
    });

    test('answers the same for an uploaded picture, raw or as a form, and for its token', async () => {
      const { input } = await classify(send, picture);
      const expected = await explain(`?input=${input.token}`);
      for (const body of [picture, formOf([{ name: 'a.png', bytes: picture }])]) {
        const response = await send('/explain', { method: 'POST', body });
        expect(response.headers.get('cache-control')).toBe('no-store');
        expect(await readAnswer(response, explanationSchema)).toEqual(expected);
      }
    });

    test('draws the signed map over the picture, red for what is positive and blue for what is negative', async () => {
      const { map, residual, class: shown } = await explain('?sample=cat-ginger');
      const side = manifest.architecture.inputShape[0];
      for (const headers of [{ accept: 'image/png' }, {}]) {
        const query = 'accept' in headers ? '' : '&format=png';
        const response = await send(`/explain?sample=cat-ginger&scale=4${query}`, { headers });
        expect(response.headers.get('content-type')).toBe('image/png');
        expect(Number(response.headers.get('x-explanation-class'))).toBe(shown.index);
        expect(Number(response.headers.get('x-explanation-min'))).toBe(map.min);
        expect(Number(response.headers.get('x-explanation-max'))).toBe(map.max);
        expect(Number(response.headers.get('x-explanation-residual'))).toBe(residual);
        const limit = Number(response.headers.get('x-explanation-limit'));
        expect(limit).toBeCloseTo(Math.max(...map.values.map(Math.abs)), 6);
        expect(response.headers.get('x-explanation-scale')).toMatch(/blue #2166ac below zero.*red #b2182b above zero/);
        const drawn = await decodePng(new Uint8Array(await response.arrayBuffer()));
        expect([drawn.width, drawn.height]).toEqual([side * 4, side * 4]);

        // In its corners the map is not interpolated; red minus blue grows with the value: 135 at full red, -139 at full blue.
        for (const [y, x] of [
          [0, 0],
          [0, map.width - 1],
          [map.height - 1, 0],
        ] as const) {
          const value = map.values[y * map.width + x] ?? Number.NaN;
          const place = (y === 0 ? 0 : drawn.height - 1) * drawn.width + (x === 0 ? 0 : drawn.width - 1);
          const [red = 0, , blue = 0] = drawn.pixels.subarray(place * 3, place * 3 + 3);
          const tint = ((value < 0 ? -139 : 135) * 0.85 * Math.abs(value)) / limit;
          expect(Math.abs(red - blue - tint), `${y}, ${x}`).toBeLessThanOrEqual(1.01);
        }
      }
    });

    test('hides patches as a second opinion, and says how far it agrees with the map', async () => {
      const query = '?sample=cat-ginger&method=occlusion';
      const usual = await readAnswer(await send(`/explain${query}`), occlusionSchema);
      const side = manifest.architecture.inputShape[0];
      expect(usual).toMatchObject({ method: 'occlusion', patch: side / 4, stride: side / 8 });
      expect(usual.map).toMatchObject({ height: 7, width: 7 });
      expect(usual.map.values.length).toBe(49);
      expect(usual.class).toEqual((await explain('?sample=cat-ginger')).class);
      expect(Math.abs(usual.agreement ?? Number.NaN)).toBeLessThanOrEqual(1);

      const whole = await readAnswer(await send(`/explain${query}&patch=${side}&stride=1`), occlusionSchema);
      expect(whole.map).toMatchObject({ height: 1, width: 1 });
      expect(whole.agreement).toBeNull();
      // With everything hidden, what is left is the logit of a flat picture of that colour.
      const pixels = Uint8Array.from({ length: side * side * 3 }, (_, index) => usual.fill[index % 3] ?? 0);
      const flat = await encodePng({ width: side, height: side, channels: 3, pixels });
      const { predictions } = await classify(send, flat, `?top_k=${manifest.classNames.length}`);
      const left = predictions.find(({ index }) => index === usual.class.index)?.logit ?? Number.NaN;
      expect(whole.map.values[0]).toBeCloseTo(usual.class.logit - left, 5);

      const drawn = await send(`/explain${query}&patch=${side / 2}&stride=${side / 2}&format=png&scale=1`);
      expect(drawn.headers.get('x-explanation-method')).toBe('occlusion');
      expect((await decodePng(new Uint8Array(await drawn.arrayBuffer()))).width).toBe(side);
    });

    test('is kept by the rules of /activations', async () => {
      const { input } = await classify(send, picture);
      const { modelId } = manifest;
      const etags = new Set<string | null>();
      const queries = [
        ['', 'no-cache'],
        ['?class=1', 'no-cache'],
        ['?top=1', 'no-cache'],
        ['?format=png', 'no-cache'],
        ['?format=png&scale=2', 'no-cache'],
        [`?model=${modelId}&sample=cat-ginger`, 'public, max-age=31536000, immutable'],
        [`?input=${input.token}`, 'private, no-cache'],
        [`?input=${input.token}&model=${modelId}`, 'private, max-age=31536000, immutable'],
      ] as const;
      for (const [query, rule] of queries) {
        const response = await send(`/explain${query}`, { method: 'HEAD' });
        expect([response.status, response.headers.get('cache-control')], query).toEqual([200, rule]);
        expect(response.headers.get('vary')).toMatch(/accept/i);
        const etag = response.headers.get('etag') ?? expect.fail('no ETag');
        etags.add(etag);
        const again = await send(`/explain${query}`, { headers: { 'if-none-match': etag } });
        expect([again.status, await again.text()], query).toEqual([304, '']);
      }
      expect(etags.size).toBe(queries.length);
    });

    test.each([
      ['?class=unicorn', 'class/unknown', /the classes are/],
      ['?class=10', 'class/unknown', /or 0 to 9/],
      ['?top=65', 'request/invalid', /at most 64/],
      ['?top=0', 'request/invalid', /from 1 on/],
      ['?top=2&format=png', 'request/invalid', /it is for method=cam with format=json/],
      ['?scale=2', 'request/invalid', /it is for format=png/],
      ['?patch=4', 'request/invalid', /it is for method=occlusion/],
      ['?method=occlusion&patch=33', 'request/invalid', /the side of the model's input/],
      ['?method=occlusion&patch=2&stride=3', 'request/invalid', /a stride of at most the patch/],
      ['?method=occlusion&patch=2&stride=0', 'request/invalid', /stride: a whole number/],
      ['?method=gradients', 'request/invalid', /method/],
      ['?format=npy', 'request/invalid', /format/],
      ['?input=x&sample=y', 'request/invalid', /got input and sample/],
      ['?colour=red', 'request/invalid', /"colour" is not known/],
      ['?input=x', 'token/invalid', /token/],
      ['?sample=unicorn', 'sample/unknown', /the samples are/],
      ['?model=nobody', 'model/unknown', /nobody/],
    ])('refuses %s as %s', async (query, code, says) => {
      const problem = await readProblem(await send(`/explain${query}`));
      expect(problem.code).toBe(code);
      expect(problem.detail).toMatch(says);
    });

    test('refuses more patches than it runs, and says how many there would be', async () => {
      const side = manifest.architecture.inputShape[0];
      if (side ** 2 <= 64) {
        // A picture of 8 x 8 has no more than 64 places.
        expect((await send('/explain?method=occlusion&patch=1&stride=1')).status).toBe(200);
        return;
      }
      const problem = await readProblem(await send('/explain?method=occlusion&patch=1&stride=1'));
      expect(problem).toMatchObject({ code: 'request/invalid', details: { patches: side ** 2, maxPatches: 64 } });
    });
  });
}
