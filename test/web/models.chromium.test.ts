/** Which model a page is of: the one that answers, a pinned one, and what happens when a release changes it. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { classificationSchema, modelListSchema } from '../../shared/api.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { formatPercent } from '../../web/number-text.ts';
import { release } from '../support/release-command.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyModel } from '../support/tiny-model.ts';
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

const CLASSES = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];

describePage('the model of the page', ({ newPage }) => {
  let server: RunningServer;
  let store: string;
  let shipped: ModelManifest;
  let tiny: ModelManifest;

  beforeAll(async () => {
    const folder = await makeSharedFolder();
    store = join(folder, 'store');
    const architecture = tinyArchitecture({ classes: 10, inputShape: [32, 32, 3] });
    tiny = await writeTinyModel(join(folder, 'tiny'), { architecture, name: 'tiny.page', classNames: CLASSES });
    await runRelease('publish', join(folder, 'tiny'));
    server = await startServer({
      host: '127.0.0.1',
      port: 0,
      store,
      page: 'web/dist',
      pointerTtlMs: 0,
      reportError: (error) => console.error(error),
    });
    shipped = await server.ready;
  });

  afterAll(() => server?.close());

  async function runRelease(...args: string[]): Promise<void> {
    const { status, reported } = await release([...args, '--store', store]);
    if (status !== 0) throw new Error(`${args.join(' ')}: ${reported}`);
  }

  /** Until the server has followed its store: it looks when it is asked. */
  async function waitForChampion(modelId: string): Promise<void> {
    const readChampion = async (): Promise<string | undefined> => {
      const response = await fetch(`${server.url}/models`);
      return modelListSchema.parse(await response.json()).models.find(({ aliases }) => aliases.includes('champion'))
        ?.id;
    };
    await expect.poll(readChampion, { timeout: 20_000, interval: 20 }).toBe(modelId);
  }

  async function openAt(hash: string): Promise<Page> {
    const page = await newPage();
    await page.goto(`${server.url}/${hash}`);
    await waitUntilRead(page);
    return page;
  }

  async function chooseModel(page: Page, modelId: string): Promise<void> {
    await Promise.all([page.waitForEvent('load'), page.getByLabel('Model').selectOption(modelId)]);
    await waitUntilRead(page);
  }

  const listChoices = (page: Page): Promise<string[]> => page.locator('#model-choice option').allInnerTexts();

  const callShort = ({ modelId, name }: ModelManifest): string => `${name} (${modelId.slice(0, 8)})`;

  it('shows a published model that a link pins by the beginning of its id, and its view after a reload', async () => {
    const page = await openAt(`#sample=cat-ginger&layer=layer2.0.conv1&channel=3&model=${tiny.modelId.slice(0, 8)}`);
    expect(page.url()).toContain(`&model=${tiny.modelId}`);
    expect(await page.locator('#model-name').innerText()).toBe('tiny.page');
    expect(await listChoices(page)).toEqual([
      `Whichever answers, now ${shipped.name}`,
      `Always ${callShort(shipped)}, shipped`,
      `Always ${callShort(tiny)}`,
    ]);
    expect(await page.getByLabel('Model').inputValue()).toBe(tiny.modelId);

    const response = await fetch(`${server.url}/classify?model=${tiny.modelId}&top_k=10`, {
      method: 'POST',
      body: new Uint8Array(CAT),
    });
    const { predictions } = classificationSchema.parse(await response.json());
    const view = await readView(page);
    expect(view).toMatchObject({ layer: 'layer2.0.conv1', channel: 'Channel 3', channels: 6 });
    expect(view.bars.map((bar) => bar.split('\n'))).toEqual(
      predictions.map(({ label, score }) => [label, formatPercent(score)]),
    );
    await page.reload();
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(view);
  });

  it('stays with its model when a release changes the champion, says so, and follows on reload', async () => {
    const page = await openAt('#sample=ship-cruise&layer=layer1.0.conv1&channel=2');
    expect(await page.locator('#model-seq').innerText()).toBe('');
    const ofShip = await readView(page);
    await page.locator('.sample', { hasText: 'cat' }).first().click();
    await waitForPicture(page, 'cat');

    await runRelease('promote', tiny.modelId);
    await waitForChampion(tiny.modelId);
    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForNotice(page, 'The server answers with another model now.');
    expect(await page.locator('#notice').innerText()).toContain(
      `It is ${callShort(tiny)}. This page stays with ${callShort(shipped)} until you reload it.`,
    );
    await waitForPicture(page, 'ship');
    expect(await readView(page)).toEqual(ofShip);
    expect(await page.locator('#model-name').innerText()).toBe(shipped.name);
    // Told once.
    await page.keyboard.press('Escape');
    await page.locator('.sample', { hasText: 'horse' }).click();
    await waitForPicture(page, 'horse');
    expect(await page.locator('#notice').innerText()).toBe('');

    await page.reload();
    await waitForPicture(page, 'horse');
    expect(await page.locator('#model-name').innerText()).toBe('tiny.page');
    expect(await page.locator('#model-seq').innerText()).toBe('release 1');
    expect((await readView(page)).channels).toBe(4);
    expect(await listChoices(page)).toEqual([
      'Whichever answers, now tiny.page',
      `Always ${callShort(tiny)}`,
      `Always ${callShort(shipped)}, the one before, shipped`,
    ]);
  });

  it('pins another model than the champion, with the picture of one’s own, until it is let go', async () => {
    const page = await openAt('#layer=layer2&channel=1');
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    const ofTiny = await readView(page);
    await chooseModel(page, shipped.modelId);
    expect(await page.locator('#model-name').innerText()).toBe(shipped.name);
    expect(new URL(page.url()).hash).toBe(`#layer=layer2&channel=1&model=${shipped.modelId}`);
    expect(await readCaption(page)).toMatch(/^mine\.png/);
    const pinned = await readView(page);
    expect(pinned).toMatchObject({ layer: 'layer2', channels: 128, channel: 'Channel 1' });
    expect(new Set(pinned.bars.map((bar) => bar.split('\n')[0]))).toEqual(new Set(shipped.classNames));
    await page.reload();
    await waitUntilRead(page);
    expect(await readView(page)).toEqual(pinned);

    // A page of a pinned model need not know of releases.
    await runRelease('rollback');
    await waitForChampion(shipped.modelId);
    await runRelease('promote', tiny.modelId);
    await waitForChampion(tiny.modelId);
    await page.locator('.sample', { hasText: 'ship' }).click();
    await waitForPicture(page, 'ship');
    expect(await page.locator('#notice').innerText()).toBe('');
    expect(await page.locator('#model-seq').innerText()).toBe('');

    await page.goBack();
    await waitForPicture(page, 'mine.png');
    expect(await readView(page)).toEqual(pinned);
    await Promise.all([page.waitForEvent('load'), page.goBack()]);
    await waitForPicture(page, 'mine.png');
    expect(await readView(page)).toEqual(ofTiny);
    expect(page.url()).not.toContain('model=');

    await chooseModel(page, shipped.modelId);
    await chooseModel(page, '');
    expect(await readView(page)).toEqual(ofTiny);
    expect(page.url()).not.toContain('model=');
  });

  it('pins the champion without a new page', async () => {
    const page = await openAt('#sample=cat-ginger&layer=layer1');
    const choice = page.getByLabel('Model');
    await choice.selectOption(tiny.modelId);
    expect(page.url()).toContain(`&model=${tiny.modelId}`);
    await page.reload();
    await waitUntilRead(page);
    expect(await choice.inputValue()).toBe(tiny.modelId);
    await choice.selectOption('');
    expect(page.url()).not.toContain('model=');
    expect(await page.locator('#model-name').innerText()).toBe('tiny.page');
  });

  it('says when a link pins a model that cannot answer', async () => {
    const page = await openAt(`#layer=layer1&model=${'0'.repeat(64)}`);
    await waitForNotice(page, 'This server cannot answer with the model 00000000; it answers with tiny.page.');
    expect(await page.getByLabel('Model').inputValue()).toBe('');
    expect(page.url()).not.toContain('model=');
  });
});
