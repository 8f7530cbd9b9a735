/**
 * What shared/image/ promises, as one suite that runs on every platform: in Node, inside workerd and in Chromium. The
 * pixels come from Pillow and from the PNG standard's arithmetic (test/fixtures/images/make-goldens.py).
 */
import { beforeAll, describe, expect, test } from 'vitest';

import { ProductError } from '../../shared/errors.ts';
import { crc32 } from '../../shared/image/crc32.ts';
import { IMAGE_LIMITS } from '../../shared/image/decode.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { FITTED, PICTURES, REFUSED, RESIZED } from '../fixtures/images/goldens.ts';
import { makeRandom } from '../support/seeded-random.ts';
import { describeDamage } from './image-damage.ts';
import { hashHex, type ImagePlatform } from './image-platform.ts';
import { describeImageTable, fromBase64, inflate } from './image-table.ts';

export function describeImage(platform: string, startPlatform: () => Promise<ImagePlatform>): void {
  let image: ImagePlatform;
  let globalsBefore: string[];
  beforeAll(async () => {
    image = await startPlatform();
    globalsBefore = await globalNames(image);
  });

  describe(`decoding on ${platform}`, () => {
    test.each(PICTURES)('$name gives its pixels', async ({ name, file, width, height, rgb, tolerance }) => {
      const decoded = await image.decode(fromBase64(file));
      expect({ width: decoded.width, height: decoded.height, type: decoded.type }).toEqual({
        width,
        height,
        type: name.slice(0, name.indexOf(' ')).toLowerCase(),
      });
      expect(decoded.pixels.length).toBe(width * height * 3);
      expect(largestDifference(decoded.pixels, fromBase64(rgb))).toBeLessThanOrEqual(tolerance);
    });

    test.each(REFUSED)('$name is refused with $code', async ({ file, code }) => {
      const error = await refusalOf(image.decode(fromBase64(file)));
      expect(error.code).toBe(code);
      expect(error.message).toMatch(/^got /);
    });

    test.each(REFUSED.filter(({ name }) => /^an? /.test(name)))(
      '$name is called by its name',
      async ({ name, file }) => {
        const error = await refusalOf(image.decode(fromBase64(file)));
        expect(error.message).toBe(`got ${name}; PNG, JPEG or WebP expected; convert it`);
      },
    );

    test.each([
      ['JPEG in CMYK', 'CMYK'],
      ['JPEG in YCCK', 'CMYK'],
      ['WebP animated', 'animated'],
    ])('%s is refused as that', async (name, word) => {
      expect((await refusalOf(image.decode(fromBase64(refusedNamed(name).file)))).message).toContain(word);
    });

    test('no bytes, too many bytes and too many pixels are refused before a decoder runs', async () => {
      expect((await refusalOf(image.decode(new Uint8Array(0)))).code).toBe('image/empty');
      const tooLarge = await refusalOf(image.decode(new Uint8Array(IMAGE_LIMITS.maxBytes + 1)));
      expect(tooLarge.code).toBe('image/too-large');
      expect(tooLarge.details).toEqual({ maxBytes: 8_388_608 });

      const file = fromBase64(pictureNamed('JPEG grey').file);
      const small = { maxBytes: file.length, maxPixels: 24 * 17 - 1 };
      expect((await refusalOf(image.decode(file, small))).details).toEqual({ maxPixels: 407, width: 24, height: 17 });
      const exact = { maxBytes: file.length, maxPixels: 24 * 17 };
      expect((await image.decode(file, exact)).pixels.length).toBe(24 * 17 * 3);
    });

    test('the size in the header is read from the beginning of the file alone', async () => {
      const beginnings = { 'PNG RGB 8 bit': 33, 'JPEG progressive': 200, 'WebP lossy': 30, 'WebP lossless': 25 };
      for (const [name, length] of Object.entries(beginnings)) {
        const { file, width, height } = pictureNamed(name);
        expect(await image.readHeader(fromBase64(file).subarray(0, length)), name).toMatchObject({ width, height });
      }
    });

    test('a view into a larger buffer decodes like a buffer of its own', async () => {
      for (const name of ['PNG palette 4 bit', 'JPEG baseline 4:2:0', 'WebP lossless']) {
        const { file, rgb, tolerance } = pictureNamed(name);
        const bytes = fromBase64(file);
        const inside = new Uint8Array(bytes.length + 11).fill(0xff);
        inside.set(bytes, 7);
        const { pixels } = await image.decode(inside.subarray(7, 7 + bytes.length));
        expect(largestDifference(pixels, fromBase64(rgb)), name).toBeLessThanOrEqual(tolerance);
      }
    });

    test('decoding leaves no global behind', async () => {
      for (const name of ['JPEG grey', 'WebP lossy']) await image.decode(fromBase64(pictureNamed(name).file));
      expect(await globalNames(image)).toEqual(globalsBefore);
    });
  });

  describeImageTable(platform, (files) => image.processAll(files));
  describeDamage(platform, (files) => image.processAll(files));

  describe(`hostile files on ${platform}`, () => {
    // An instance of mozjpeg that is kept breaks after about 80 failures.
    test('JPEGs that only the decoder finds bad do not spoil it for the next ones', async () => {
      const golden = pictureNamed('JPEG baseline 4:2:0');
      const bad = fromBase64(refusedNamed('JPEG without quantization tables').file);
      for (let round = 0; round < 150; round++) {
        const [refusal, { pixels }] = await Promise.all([
          refusalOf(image.decode(bad)),
          image.decode(fromBase64(golden.file)),
        ]);
        expect(refusal.message).toContain('Quantization table 0x00 was not defined');
        expect(largestDifference(pixels, fromBase64(golden.rgb))).toBeLessThanOrEqual(golden.tolerance);
      }
    });

    test('a PNG bomb is refused without being inflated', async () => {
      const bomb = await makePngBomb({ width: 10, height: 10, inflatedBytes: 256 * 1024 * 1024 });
      expect(bomb.length).toBeLessThan(300_000);
      const startedMs = Date.now();
      expect((await refusalOf(image.decode(bomb))).message).toContain('more image data than 10 x 10 pixels take');
      expect(Date.now() - startedMs).toBeLessThan(2000);
    });
  });

  describe(`fitting to a square on ${platform}`, () => {
    test('is compared with Pillow for 200 sizes', () => {
      expect(new Set(RESIZED.map(({ width, height, seed }) => `${width} x ${height} of ${seed}`)).size).toBe(200);
    });

    test.each(RESIZED)('$width x $height equals Pillow', async ({ width, height, seed, sha256 }) => {
      const square = await image.fit({ width, height, pixels: synthesize({ width, height, seed }) }, 32);
      expect(await hashHex(square)).toBe(sha256);
    });

    test.each(RESIZED.filter(({ rgb }) => rgb !== undefined))(
      '$width x $height differs nowhere from Pillow',
      async ({ width, height, seed, rgb }) => {
        const square = await image.fit({ width, height, pixels: synthesize({ width, height, seed }) }, 32);
        expect(largestDifference(square, fromBase64(rgb ?? ''))).toBe(0);
      },
    );

    test.each(FITTED)('$name, decoded and fitted, equals Pillow', async ({ file, isDeflated, rgb, tolerance }) => {
      const bytes = isDeflated ? await inflate(fromBase64(file)) : fromBase64(file);
      const square = await image.decodeAndFit(bytes, 32);
      expect(largestDifference(square, fromBase64(rgb))).toBeLessThanOrEqual(tolerance);
    });

    test('a picture of the right size stays as it is', async () => {
      const pixels = synthesize({ width: 32, height: 32, seed: 3 });
      expect(await image.fit({ width: 32, height: 32, pixels }, 32)).toEqual(pixels);
    });

    test('the crop takes the middle and leaves the odd column to the right', async () => {
      const pixels = Uint8Array.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
      expect([...(await image.fit({ width: 4, height: 1, pixels }, 1))]).toEqual([2, 2, 2]);
    });
  });

  describe(`input tokens on ${platform}`, () => {
    const pixels = synthesize({ width: 32, height: 32, seed: 5 });

    test('a token gives its pixels back and fits a URL', async () => {
      const noise = Uint8Array.from({ length: 3072 }, makeRandom(3));
      for (const input of [pixels, noise, new Uint8Array(3072)]) {
        const token = await image.encodeToken(input);
        expect(token).toMatch(/^1[A-Za-z0-9_-]+$/);
        expect(token.length).toBeLessThan(4200);
        expect(await image.decodeToken(token, 3072)).toEqual(input);
      }
    });

    test('equal pixels have equal tokens', async () => {
      expect(await image.encodeToken(pixels.slice())).toBe(await image.encodeToken(pixels));
    });

    test('tokens of the past stay readable', async () => {
      expect(await image.decodeToken('1eJxjZ0cAAAIuAFU', 12)).toEqual(new Uint8Array(12).fill(7));
    });

    test.each([
      { name: 'empty', change: () => '' },
      { name: 'only a format', change: () => '1' },
      { name: 'of an unknown format', change: (token: string) => `2${token.slice(1)}` },
      { name: 'with padding', change: (token: string) => `${token}=` },
      {
        name: 'with a character of plain base64',
        change: (token: string) => `${token.slice(0, 9)}+${token.slice(10)}`,
      },
      { name: 'cut', change: (token: string) => token.slice(0, -8) },
      { name: 'with bytes behind its end', change: (token: string) => `${token}AAAA` },
      { name: 'with a changed character', change: (token: string) => changeCharacter(token, 700) },
      { name: 'with a changed last byte', change: (token: string) => changeCharacter(token, token.length - 3) },
      { name: 'as long as a book', change: (token: string) => token + 'A'.repeat(1_000_000) },
    ])('a token $name is refused', async ({ change }) => {
      const error = await refusalOf(image.decodeToken(change(await image.encodeToken(pixels)), 3072));
      expect(error.code).toBe('token/invalid');
      expect(error.message).toContain('classify the picture again');
    });

    test('a token of another size, larger or smaller, is refused', async () => {
      const token = await image.encodeToken(pixels);
      expect((await refusalOf(image.decodeToken(token, 3073))).message).toContain('holds 3072 values');
      expect((await refusalOf(image.decodeToken(token, 3071))).message).toContain('more than the 3071 values');
      const bomb = await image.encodeToken(new Uint8Array(3_000_000));
      expect((await refusalOf(image.decodeToken(bomb, 3072))).message).toContain('more than the 3072 values');
    });
  });

  describe(`writing PNG on ${platform}`, () => {
    test('grey and RGB pictures are read back as they were', async () => {
      const rgb = synthesize({ width: 19, height: 7, seed: 1 });
      const file = await image.encodePng({ width: 19, height: 7, channels: 3, pixels: rgb });
      expect((await image.decode(file)).pixels).toEqual(rgb);

      const grey = rgb.subarray(0, 19 * 7);
      const greyFile = await image.encodePng({ width: 19, height: 7, channels: 1, pixels: grey });
      const spread = Uint8Array.from({ length: 19 * 7 * 3 }, (_, index) => grey[Math.floor(index / 3)] ?? 0);
      expect((await image.decode(greyFile)).pixels).toEqual(spread);
    });

    test('pixels that do not fill the picture are a bug', async () => {
      await expect(image.encodePng({ width: 2, height: 2, channels: 1, pixels: new Uint8Array(3) })).rejects.toThrow(
        'internal: 3 values do not make a picture of 2 x 2 x 1',
      );
    });
  });
}

/** Vitest adds names of its own while it runs. */
async function globalNames(image: ImagePlatform): Promise<string[]> {
  return (await image.globalNames()).filter((name) => !/vitest|vite|chai/i.test(name)).toSorted();
}

function pictureNamed(name: string) {
  const found = PICTURES.find((picture) => picture.name === name);
  if (found === undefined) throw new Error(`no golden picture ${name}`);
  return found;
}

function refusedNamed(name: string) {
  const found = REFUSED.find((refused) => refused.name === name);
  if (found === undefined) throw new Error(`no golden refusal ${name}`);
  return found;
}

async function refusalOf(promise: Promise<unknown>): Promise<ProductError> {
  const outcome: unknown = await promise.then(
    () => new Error('nothing was refused'),
    (error: unknown) => error,
  );
  if (outcome instanceof ProductError) return outcome;
  throw outcome;
}

function largestDifference(actual: Uint8Array, expected: Uint8Array): number {
  expect(actual.length).toBe(expected.length);
  return actual.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (expected[index] ?? 999))), 0);
}

/** [height, width, 3]; the same formula as in make-goldens.py. */
function synthesize({ width, height, seed }: { width: number; height: number; seed: number }) {
  const pixels = new Uint8Array(width * height * 3);
  let target = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        pixels[target++] = (x * x * 3 + y * y * 7 + x * y * (c + 1) * 5 + seed * 31 + c * 89) >> 3;
      }
    }
  }
  return pixels;
}

function changeCharacter(token: string, at: number): string {
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
}

/** A sound PNG but for its image data, which are zeros and far too many. */
async function makePngBomb({ width, height, inflatedBytes }: { width: number; height: number; inflatedBytes: number }) {
  const zeros = new Uint8Array(1024 * 1024);
  let left = inflatedBytes;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (left <= 0) return controller.close();
      left -= zeros.length;
      controller.enqueue(zeros);
    },
  });
  const idat = new Uint8Array(await new Response(stream.pipeThrough(new CompressionStream('deflate'))).arrayBuffer());
  const small = await encodePng({ width, height, channels: 3, pixels: new Uint8Array(width * height * 3) });
  const chunk = new Uint8Array(12 + idat.length);
  new DataView(chunk.buffer).setUint32(0, idat.length);
  chunk.set(new TextEncoder().encode('IDAT'), 4);
  chunk.set(idat, 8);
  new DataView(chunk.buffer).setUint32(8 + idat.length, crc32(chunk.subarray(4, 8 + idat.length)));
  return Uint8Array.from([...small.subarray(0, 33), ...chunk, ...small.subarray(small.length - 12)]);
}
