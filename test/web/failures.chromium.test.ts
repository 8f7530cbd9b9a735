/** What the page says and keeps when something does not go well. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { crc32 } from '../../shared/image/crc32.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { startServer } from '../../serve/node/server.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';
import {
  CAT,
  chooseFile,
  describePage,
  drop,
  dropAsHand,
  readCaption,
  readView,
  SCREENSHOTS,
  waitForNotice,
  waitForPicture,
  waitUntilRead,
} from './page-bench.ts';

describePage('failures on the page', ({ openPage, newPage, context }) => {
  it('says in a sentence why a text file is refused, and keeps the view', async () => {
    const page = await openPage();
    const before = await readView(page);
    const refusal = page.waitForResponse((response) => response.url().includes('/classify'));
    await drop(page, [{ name: 'notes.txt', type: 'text/plain', bytes: Buffer.from('Just some words.') }]);
    expect((await refusal).status()).toBe(415);
    const notice = page.locator('#notice .notice p');
    await notice.waitFor();
    expect(await notice.innerText()).toMatch(
      /Got 16 bytes that are no known kind of image; PNG, JPEG or WebP expected\.$/,
    );
    expect(await page.locator('#notice').getAttribute('role')).toBe('alert');
    await page.screenshot({ path: join(SCREENSHOTS, 'refused.png') });
    expect(await readView(page)).toEqual(before);
    expect(await page.locator('#kept button').count()).toBe(0);
    await page.keyboard.press('Escape');
    expect(await page.locator('#notice').innerText()).toBe('');
  });

  it('says what to do with a picture of too many pixels that this browser cannot scale', async () => {
    const page = await openPage();
    const whole = await encodePng({ width: 1, height: 1, channels: 3, pixels: new Uint8Array(3) });
    // The size of a large picture, and then nothing: the browser cannot read it, the server reads the size.
    const buffer = Buffer.from(whole.subarray(0, 33));
    buffer.writeUInt32BE(4000, 16);
    buffer.writeUInt32BE(3000, 20);
    buffer.writeUInt32BE(crc32(buffer.subarray(12, 29)), 29);
    const refusal = page.waitForResponse((response) => response.url().includes('/classify'));
    await chooseFile(page, 'broken.png', buffer);
    expect((await refusal).status()).toBe(413);
    await waitForNotice(page, 'The picture has too many pixels.');
    expect(await page.locator('#notice').innerText()).toMatch(/4000 x 3000/);
  });

  it('says that a huge file is no picture without sending it', async () => {
    const page = await openPage();
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await chooseFile(page, 'huge.bin', Buffer.alloc(8 * 1024 * 1024 + 1, 'x'));
    await waitForNotice(page, 'at most 8.0 MiB can be sent');
    expect(requests).toEqual([]);
  });

  it('says that it is offline, keeps what is shown and tries again on request', async () => {
    const page = await openPage();
    const before = await readView(page);
    await context().setOffline(true);
    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForNotice(page, 'You are offline.');
    expect(await readView(page)).toEqual(before);
    await context().setOffline(false);
    await page.locator('#notice button', { hasText: 'Try again' }).click();
    await waitForPicture(page, 'ship');
    expect(await page.locator('#notice').innerText()).toBe('');
  });

  it('offers to try again when the server does not answer, also for a layer alone', async () => {
    const page = await openPage('#layer=relu');
    await page.route('**/activations/**', (route) => route.abort('connectionrefused'));
    await page.locator('.stage', { hasText: 'Stage 2' }).click();
    await waitForNotice(page, 'The server does not answer.');
    expect(await page.locator('#layer-status').innerText()).toBe('layer2 could not be read.');
    await page.unroute('**/activations/**');
    await page.locator('#notice button', { hasText: 'Try again' }).click();
    await waitUntilRead(page);
    expect(await readView(page)).toMatchObject({ layer: 'layer2', channels: 128 });
    expect(await page.locator('#layer-status').innerText()).toBe('');
  });

  it('waits visibly for a slow server, and never puts a late answer over a newer one', async () => {
    const page = await openPage('#sample=cat-ginger');
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let held = 0;
    await page.route('**/classify?*', async (route) => {
      if (held++ === 0) await released;
      // The page may have given this request up.
      await route.continue().catch(() => undefined);
    });
    await page.locator('.sample', { hasText: 'ship' }).click();
    await page.getByText('Still waiting for the server: ship').waitFor();
    expect(await page.locator('#bars').getAttribute('aria-busy')).toBe('true');
    await page.locator('.sample', { hasText: 'horse' }).click();
    await waitForPicture(page, 'horse');
    const horse = await readView(page);
    release();
    await page.locator('.stage', { hasText: 'Stage 4' }).click();
    await waitUntilRead(page);
    await page.locator('.stage', { hasText: 'Stem' }).click();
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(horse);
    expect(await readCaption(page)).toMatch(/^horse/);
    expect(page.url()).toContain('sample=horse');
  });

  it('explains a server whose model is not there yet, and starts when it is, with a picture that was dropped', async () => {
    const folder = await makeTemporaryFolder();
    const [store, published] = [join(folder, 'store'), join(folder, 'published')];
    const architecture = tinyArchitecture({ inputShape: [32, 32, 3] });
    const { modelId } = await writeTinyStore(published, { architecture });
    // A pointer that came before its model.
    await cp(join(published, 'channels'), join(store, 'channels'), { recursive: true });
    const server = await startServer({
      host: '127.0.0.1',
      port: 0,
      store,
      page: 'web/dist',
      pointerTtlMs: 0,
      reportError: () => undefined,
    });
    try {
      const page = await newPage();
      const answer = page.waitForResponse((response) => response.url().endsWith('/activations'));
      await page.goto(server.url);
      expect((await answer).status()).toBe(503);
      await page.getByText('The page could not start.').waitFor();
      expect(await page.locator('#notice').innerText()).toContain('The model is not loaded.');
      expect(await page.locator('#file').isDisabled()).toBe(true);
      expect(await page.locator('#inside-title').isVisible()).toBe(false);
      await page.screenshot({ path: join(SCREENSHOTS, 'not-ready.png') });

      // As a hand does it: a browser opens a file that the page does not take.
      const file = join(folder, 'early.png');
      await writeFile(file, CAT);
      await dropAsHand(page, file);
      await page.getByText('early.png waits until the server has a model …').waitFor();
      expect(page.context().pages()).toEqual([page]);
      expect(page.url()).toBe(`${server.url}/`);

      await cp(join(published, modelId), join(store, modelId), { recursive: true });
      await page.locator('#notice button', { hasText: 'Try again' }).click();
      await waitForPicture(page, 'early.png');
      expect(await page.locator('#inside-title').isVisible()).toBe(true);
      expect(await page.locator('#kept button').count()).toBe(1);
      await chooseFile(page, 'mine.png');
      await waitForPicture(page, 'mine.png');
    } finally {
      await server.close();
    }
  });
});
