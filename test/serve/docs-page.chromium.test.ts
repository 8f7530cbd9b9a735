/** The docs page of a real server in real Chromium: its looks, and the little that its script does. */
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { openBrowser } from '../support/open-browser.ts';
import { describeWithChromium } from '../support/requirements.ts';

const SCREENSHOTS = join(tmpdir(), 'resnet18-edge-docs');

describeWithChromium('the docs page', () => {
  let browser: Browser;
  let server: RunningServer;
  const complaints: string[] = [];

  beforeAll(async () => {
    await mkdir(SCREENSHOTS, { recursive: true });
    browser = await openBrowser();
    const options = { host: '127.0.0.1', port: 0, store: 'no-such-folder', page: 'web/dist' };
    server = await startServer({ ...options, reportError: (error) => complaints.push(String(error)) });
    await server.ready;
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  async function openPage(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${server.url}/docs`);
    return page;
  }

  const shownIn = (page: Page, section: string): Promise<string[]> =>
    page.locator(`#${section} pre:visible`).allTextContents();

  it.each([
    ['light', 320],
    ['dark', 1280],
  ] as const)('is accessible and scrolls only down in %s at %i pixels', async (colorScheme, width) => {
    const page = await openPage({ colorScheme, viewport: { width, height: 800 } });
    for (const language of ['curl', 'Python', 'TypeScript']) {
      await page.locator('#classify').getByRole('radio', { name: language }).check();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      await page.locator('#classify').scrollIntoViewIfNeeded();
      await page.screenshot({ path: join(SCREENSHOTS, `${language}-${colorScheme}-${width}.png`) });
    }
    // The page's policy lets no script in but its own; the debugger's may run.
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })');
    expect(
      violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`),
    ).toEqual([]);
    await page.screenshot({ path: join(SCREENSHOTS, `whole-${colorScheme}-${width}.png`), fullPage: true });
    await page.context().close();
  });

  it('shows one language at a time, the same everywhere, also after a reload', async () => {
    const page = await openPage();
    expect(await shownIn(page, 'classify')).toEqual([expect.stringMatching(/^curl --data-binary @car\.jpg http/)]);
    await page.locator('#evaluate').getByRole('radio', { name: 'Python' }).check();
    for (const section of ['classify', 'evaluate', 'oipInfer']) {
      expect(await shownIn(page, section), section).toEqual([expect.stringMatching(/^import json\nfrom urllib/)]);
    }
    expect(await shownIn(page, 'listModels')).toEqual([`curl ${server.url}/models`]);
    await page.reload();
    expect(await shownIn(page, 'classify')).toEqual([expect.stringMatching(/^import json/)]);
    await page.context().close();
  });

  it('copies the example that is shown, as it is', async () => {
    const page = await openPage({ permissions: ['clipboard-read', 'clipboard-write'] });
    const section = page.locator('#classify');
    await section.getByRole('radio', { name: 'TypeScript' }).check();
    await section.getByRole('button', { name: 'Copy' }).click();
    await section.getByRole('button', { name: 'Copied' }).waitFor();
    const [shown] = await shownIn(page, 'classify');
    expect(shown).toContain(`new Client('${server.url}')`);
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(shown);
    await page.context().close();
  });

  it('is whole without its script', async () => {
    const page = await openPage({ javaScriptEnabled: false });
    await page.locator('#classify').getByRole('radio', { name: 'Python' }).check();
    expect(await shownIn(page, 'classify')).toEqual([expect.stringMatching(/^import json/)]);
    expect(await page.getByRole('button').count()).toBe(0);
    await page.context().close();
  });

  it('has had nothing to complain about in all this', () => {
    expect(complaints).toEqual([]);
  });
});
