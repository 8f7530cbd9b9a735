/** Every view is a link: reload, back and forward, sharing, and what stays out of the address. */
import { expect, it } from 'vitest';
import {
  CAT,
  chooseFile,
  describePage,
  readCaption,
  readView,
  waitForNotice,
  waitForPicture,
  waitUntilRead,
} from './page-bench.ts';

describePage('the address of the page', ({ openPage, newPage, context, url }) => {
  it('gives the same view after a reload, of a sample and of a picture of one’s own', async () => {
    const page = await openPage('#sample=frog-bullfrog&layer=layer4.0.shortcut&channel=300');
    const before = await readView(page);
    expect(before).toMatchObject({ layer: 'layer4.0.shortcut', channel: 'Channel 300', channels: 512 });
    await page.reload();
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(before);

    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    const own = await readView(page);
    expect(own.bars).not.toEqual(before.bars);
    expect(new URL(page.url()).hash).toBe('#layer=layer4.0.shortcut&channel=300');
    await page.reload();
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(own);
    expect(await readCaption(page)).toContain('After the reload');
  });

  it('goes back and forward through pictures and layers', async () => {
    const page = await openPage('#sample=cat-ginger&layer=layer1&channel=5');
    const cat = await readView(page);
    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForPicture(page, 'ship');
    const ship = await readView(page);
    await page.locator('.stage', { hasText: 'Stage 3' }).click();
    await waitUntilRead(page);
    expect(await readView(page)).toMatchObject({ layer: 'layer3', channels: 256, channel: 'Channel 5' });
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    const mine = await readView(page);

    await page.goBack();
    await waitForPicture(page, 'ship');
    expect(await readView(page)).toMatchObject({ verdict: ship.verdict, layer: 'layer3' });
    await page.goBack();
    await page.waitForFunction(() => document.querySelector('#layer-title')?.textContent === 'layer1');
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(ship);
    await page.goBack();
    await waitForPicture(page, 'cat');
    expect(await readView(page)).toEqual(cat);
    for (const name of ['ship', 'ship', 'mine.png']) {
      await page.goForward();
      await waitForPicture(page, name);
    }
    expect(await readView(page)).toEqual(mine);
    // As it was handed in: the tab still has the file.
    expect(await readCaption(page)).toBe('mine.png, 32 × 32.');
  });

  it('makes no step of a layer that was only passed through', async () => {
    const page = await openPage('#layer=relu');
    const before = await page.evaluate(() => history.length);
    await page.evaluate(() => {
      for (const radio of document.querySelectorAll<HTMLInputElement>('#stages input')) radio.click();
    });
    await waitUntilRead(page);
    expect(await page.locator('#layer-title').innerText()).toBe('probs');
    expect(await page.evaluate(() => history.length)).toBe(before + 1);
    await page.goBack();
    await page.waitForFunction(() => document.querySelector('#layer-title')?.textContent === 'relu');
    await waitUntilRead(page);
  });

  it('keeps a picture of one’s own out of the address until its owner asks for a link with it', async () => {
    const page = await openPage('#layer=layer2&channel=7', { permissions: ['clipboard-read', 'clipboard-write'] });
    const readClipboard = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    const mine = await readView(page);
    const plain = `${url()}/#layer=layer2&channel=7`;
    expect(page.url()).toBe(plain);
    expect(await page.locator('#share-words').innerText()).toContain('Your picture is not in the address.');

    await page.getByRole('button', { name: 'Copy link without picture' }).click();
    await page.getByText('Link copied.').waitFor();
    expect(await readClipboard()).toBe(plain);

    await page.getByRole('button', { name: 'Copy link with picture' }).click();
    await page.waitForFunction(() => location.hash.includes('&input='));
    await page.getByText('The address carries the 32 × 32 pixels').waitFor();
    await page.getByText('Link copied.').waitFor();
    const shared = await readClipboard();
    expect(shared).toBe(page.url());
    expect(shared).not.toContain('mine.png');

    // Another person, in another tab without any history.
    const other = await newPage();
    await other.goto(shared);
    await waitUntilRead(other);
    expect(await readView(other)).toEqual(mine);
    expect(await readCaption(other)).toContain('A link carries only the small picture');
    expect(await other.locator('#copy-picture').isVisible()).toBe(false);
    expect(other.url()).toBe(shared);
    await other.close();

    await page.getByRole('button', { name: 'Copy link without picture' }).click();
    expect(page.url()).toBe(plain);
    await page.reload();
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(mine);
    expect(page.url()).toBe(plain);
  });

  it('leaves the link in the address where the browser does not let the page copy', async () => {
    const page = await openPage();
    // What plain http in a local network is like.
    await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    await page.getByRole('button', { name: 'Copy link with picture' }).click();
    await page.getByText('This browser does not let the page copy. Copy the address.').waitFor();
    expect(page.url()).toContain('input=1');
  });

  it('explains a link to a layer, a channel, a sample or a picture that is not there', async () => {
    const page = await openPage('#layer=layer9');
    await waitForNotice(page, 'There is no layer layer9; shown instead: relu.');
    expect(page.url()).toContain('layer=relu');
    await page.goto(`${url()}/#sample=unicorn&layer=layer1&channel=99`);
    await waitForNotice(page, 'There is no sample unicorn');
    expect(await page.locator('#notice').innerText()).toContain('layer1 has no channel 99; shown instead: 63.');
    expect(await page.locator('#channel-title').innerText()).toBe('Channel 63');
    await page.goto(`${url()}/#input=1damaged`);
    await waitForNotice(page, 'The picture in it is damaged');
    expect(page.url()).not.toContain('input=');
  });

  it('does not keep pictures for another tab', async () => {
    const page = await openPage();
    await chooseFile(page, 'mine.png', CAT);
    await waitForPicture(page, 'mine.png');
    const other = await context().newPage();
    await other.goto(url());
    await waitUntilRead(other);
    expect(await other.locator('#kept button').count()).toBe(0);
  });
});
