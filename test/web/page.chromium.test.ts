/** Handing in pictures, and the answer to them. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { findRefused } from '../contract/api-client.ts';
import {
  CAT,
  chooseFile,
  describePage,
  drop,
  readCaption,
  readView,
  SAMPLE_FOLDER,
  SCREENSHOTS,
  waitForNotice,
  waitForPicture,
  waitUntilRead,
} from './page-bench.ts';

/** EXIF that says "rotate by 90 degrees clockwise to see it upright", as telephones write it. */
const ROTATED = Buffer.from([
  ...[0xff, 0xe1, 0x00, 0x22, ...Buffer.from('Exif\0\0'), ...Buffer.from('MM'), 0x00, 0x2a, 0, 0, 0, 8],
  ...[0x00, 0x01, 0x01, 0x12, 0x00, 0x03, 0, 0, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0],
]);

/** A JPEG that is stored lying: its left half is red, which is the upper half when it stands upright. */
async function takePhotograph(page: Page, size: { width: number; height: number }): Promise<Buffer> {
  const base64 = await page.evaluate(async ({ width, height }) => {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('no canvas to draw on');
    context.fillStyle = '#204060';
    context.fillRect(0, 0, width, height);
    context.fillStyle = '#c03020';
    context.fillRect(0, 0, width / 2, height);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg' });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  }, size);
  const jpeg = Buffer.from(base64, 'base64');
  return Buffer.concat([jpeg.subarray(0, 2), ROTATED, jpeg.subarray(2)]);
}

describePage('pictures on the page', ({ openPage, url }) => {
  it('shows a classified sample, all classes and the maps of a layer when it is opened', async () => {
    const page = await openPage();
    const { samples, default: defaultName } = (await (await fetch(`${url()}/samples`)).json()) as {
      samples: { name: string }[];
      default: string;
    };
    const { models } = (await (await fetch(`${url()}/models`)).json()) as {
      models: { id: string; name: string; classNames: string[] }[];
    };
    const [model] = models;
    expect(await page.locator('.sample').count()).toBe(samples.length);
    expect(page.url()).toContain(`#sample=${defaultName}`);
    expect((await page.locator('.bar-label > :first-child').allInnerTexts()).toSorted()).toEqual(
      model?.classNames.toSorted(),
    );
    const shares = (await page.locator('.bar-percent').allInnerTexts()).map((text) => Number.parseFloat(text));
    expect(shares).toEqual(shares.toSorted((a, b) => b - a));
    expect(await page.locator('#model-name').innerText()).toBe(model?.name);
    expect(model?.id.startsWith(await page.locator('#model-id').innerText())).toBe(true);
    expect(await page.locator('.cell').count()).toBe(64);
    // A mouse points here: a camera is for hands.
    expect(await page.locator('label[for="camera"]').isVisible()).toBe(false);
  });

  it('says at each sample whether the network recognised it', async () => {
    const page = await openPage('#sample=cat-ginger');
    const [best = ''] = await page.locator('.bar-label > :first-child').allInnerTexts();
    const isRight = best === 'cat';
    expect(await page.locator('#comparison').innerText()).toBe(
      `${isRight ? 'Right' : 'Wrong'}: the true label is cat.`,
    );
    const marked = page.locator('.sample:has(.sample-mark)');
    expect(await marked.count()).toBe(1);
    const words = isRight ? 'recognised' : 'not recognised';
    await page.getByRole('button', { name: new RegExp(`^cat.*, ${words}$`) }).waitFor();
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    expect(await page.locator('#comparison').innerText()).toBe('It knows these 10 classes and nothing else.');
  });

  it('draws exactly the pixels that the model got', async () => {
    const page = await openPage();
    await page.locator('#file').setInputFiles(join(SAMPLE_FOLDER, 'cat-ginger.png'));
    await waitForPicture(page, 'cat-ginger');
    const difference = await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes]));
      const original = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
      const seen = document.querySelector<HTMLCanvasElement>('#seen')?.getContext('2d');
      if (!original || !seen) return undefined;
      original.drawImage(bitmap, 0, 0);
      const [expected, got] = [original, seen].map((each) => each.getImageData(0, 0, bitmap.width, bitmap.height).data);
      return expected?.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (got?.[index] ?? 999))), 0);
    }, CAT.toString('base64'));
    expect(difference).toBe(0);
  });

  it('says the same of a sample and of its file: chosen, dropped anywhere, pasted', async () => {
    const page = await openPage('#sample=cat-ginger', { permissions: ['clipboard-read', 'clipboard-write'] });
    const ofSample = await readView(page);
    const withoutTruth = { ...ofSample, bars: ofSample.bars.map((bar) => bar.replace(' true', '')) };

    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForPicture(page, 'ship');
    expect((await readView(page)).bars).not.toEqual(ofSample.bars);

    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    expect(await readView(page)).toEqual(withoutTruth);
    expect(await page.locator('.sample[aria-pressed="true"]').count()).toBe(0);

    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForPicture(page, 'ship');
    await drop(page, [{ name: 'dropped.png', type: 'image/png', bytes: CAT }]);
    await waitForPicture(page, 'dropped.png');
    expect(await readView(page)).toEqual(withoutTruth);

    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForPicture(page, 'ship');
    await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const item = new ClipboardItem({ 'image/png': new Blob([bytes], { type: 'image/png' }) });
      await navigator.clipboard.write([item]);
    }, CAT.toString('base64'));
    await page.keyboard.press('Control+V');
    await waitForPicture(page, 'Pasted picture');
    expect(await readView(page)).toEqual(withoutTruth);

    await page.evaluate(() => navigator.clipboard.writeText('only words'));
    await page.keyboard.press('Control+V');
    await waitForNotice(page, 'There is no picture in the clipboard.');
    expect(await readView(page)).toEqual(withoutTruth);
  });

  it('shows that a file can be let go while it is over the page', async () => {
    const page = await openPage();
    const frame = page.locator('.drop-frame');
    expect(await frame.isVisible()).toBe(false);
    await drop(page, [{ name: 'a.png', type: 'image/png', bytes: CAT }], { isReleased: false });
    expect(await frame.isVisible()).toBe(true);
    expect(await frame.boundingBox()).toEqual({ x: 0, y: 0, width: 1280, height: 800 });
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([], 'a.png'));
      document.querySelector('footer')?.dispatchEvent(new DragEvent('dragleave', { dataTransfer, bubbles: true }));
    });
    expect(await frame.isVisible()).toBe(false);
  });

  it('takes the first of several dropped files and says so', async () => {
    const page = await openPage();
    const files = ['first.png', 'second.png'].map((name) => ({ name, type: 'image/png', bytes: CAT }));
    await drop(page, files);
    await waitForPicture(page, 'first.png');
    expect(await page.locator('#notice').innerText()).toContain('This is first.png; the others were left out.');
  });

  it('offers the camera where a finger points, and takes what it gives', async () => {
    const page = await openPage('', { hasTouch: true, isMobile: true, viewport: { width: 390, height: 800 } });
    expect(await page.locator('label[for="camera"]').isVisible()).toBe(true);
    expect(await page.locator('#camera').getAttribute('capture')).toBe('environment');
    await page.locator('#camera').setInputFiles({ name: 'shot.png', mimeType: 'image/png', buffer: CAT });
    await waitForPicture(page, 'shot.png');
  });

  it('sends what only the browser reads as a PNG, and says so', async () => {
    const page = await openPage();
    const buffer = Buffer.from(findRefused('a GIF'));
    await page.locator('#file').setInputFiles({ name: 'old.gif', mimeType: 'image/gif', buffer });
    await waitForPicture(page, 'old.gif');
    expect(await readCaption(page)).toMatch(
      /^old\.gif, [\d,]+ × [\d,]+, sent as a PNG of this browser, since the server does not take the file as it is/,
    );
  });

  it('scales a photograph of 12 megapixels upright before it is sent, says so and shows the square', async () => {
    const page = await openPage();
    const buffer = await takePhotograph(page, { width: 4000, height: 3000 });
    const sentBytes = new Promise<number>((resolve) => {
      page.on('request', (request) => {
        if (request.method() === 'POST') resolve(request.postDataBuffer()?.length ?? 0);
      });
    });
    await page.locator('#file').setInputFiles({ name: 'IMG_2041.jpg', mimeType: 'image/jpeg', buffer });
    await waitForPicture(page, 'IMG_2041.jpg');
    expect(await readCaption(page)).toBe(
      'IMG_2041.jpg, 3,000 × 4,000, scaled down here to 886 × 1,182 before sending. ' +
        'The network gets the bright square in the middle.',
    );
    expect(await sentBytes).toBeLessThan(8 * 1024 * 1024);

    const { sheet, crop } = await page.evaluate(() => {
      const sizeOf = (selector: string): number[] => {
        const { width = 0, height = 0 } = document.querySelector(selector)?.getBoundingClientRect() ?? {};
        return [width, height];
      };
      return { sheet: sizeOf('.sheet'), crop: sizeOf('.crop') };
    });
    expect((sheet[0] ?? 0) / (sheet[1] ?? 1)).toBeCloseTo(3 / 4, 2);
    expect(crop[0]).toBeCloseTo(crop[1] ?? 0, 1);
    expect(crop[0]).toBeCloseTo(sheet[0] ?? 0, 1);

    // Upright, the red half is above.
    const seen = await page.locator('#seen').evaluate((canvas) => {
      const context = canvas instanceof HTMLCanvasElement ? canvas.getContext('2d') : null;
      return [8, 24].map((row) => [...(context?.getImageData(16, row, 1, 1).data ?? [])]);
    });
    const [above = [], below = []] = seen;
    for (const [index, value] of [0xc0, 0x30, 0x20].entries())
      expect(Math.abs((above[index] ?? 0) - value)).toBeLessThan(6);
    for (const [index, value] of [0x20, 0x40, 0x60].entries())
      expect(Math.abs((below[index] ?? 0) - value)).toBeLessThan(6);
    await page.screenshot({ path: join(SCREENSHOTS, 'photograph.png') });
  });

  it('keeps the last pictures in this tab, and leads back to them by mouse and keyboard', async () => {
    const page = await openPage('#sample=ship-cruise');
    const thumbnails = page.locator('#kept button');
    expect(await page.locator('#kept-empty').isVisible()).toBe(true);
    const photograph = await takePhotograph(page, { width: 400, height: 300 });
    await page.locator('#file').setInputFiles({ name: 'photo.jpg', mimeType: 'image/jpeg', buffer: photograph });
    await waitForPicture(page, 'photo.jpg');
    const ofPhotograph = await readView(page);
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    expect(await thumbnails.evaluateAll((all) => all.map((each) => each.getAttribute('aria-label')))).toEqual([
      'mine.png',
      'photo.jpg',
    ]);
    expect(await page.locator('#kept-empty').isVisible()).toBe(false);
    expect(await thumbnails.nth(0).getAttribute('aria-pressed')).toBe('true');

    await thumbnails.nth(0).focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await waitForPicture(page, 'photo.jpg');
    expect(await readView(page)).toEqual(ofPhotograph);
    // The whole picture, not only what the network saw of it.
    expect(await readCaption(page)).toContain('300 × 400.');
    expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([]);

    await page.reload();
    await waitUntilRead(page);
    expect(await thumbnails.count()).toBe(2);
    expect(await readCaption(page)).toContain('After the reload');
    await page.locator('#kept-forget').click();
    expect(await thumbnails.count()).toBe(0);
    expect(await page.evaluate(() => sessionStorage.getItem('resnet18-edge/pictures'))).toBe('[]');
  });
});
