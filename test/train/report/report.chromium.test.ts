/** The report of a run in miniature, opened as a file in real Chromium. */
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import type { AxeResults } from 'axe-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBrowser } from '../../support/open-browser.ts';
import { describeWithChromium } from '../../support/requirements.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { writeTinyReport } from '../../support/tiny-report.ts';

const SCREENSHOTS = join(tmpdir(), 'resnet18-edge-report');

describeWithChromium('the report', () => {
  let browser: Browser;
  let url: string;
  beforeAll(async () => {
    await mkdir(SCREENSHOTS, { recursive: true });
    const { runFolder } = await writeTinyReport(await makeSharedFolder());
    url = pathToFileURL(join(runFolder, 'report.html')).href;
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
  });

  it.each([
    ['light', 1280],
    ['dark', 320],
  ] as const)('is complete, quiet and accessible in %s at %i pixels', async (colorScheme, width) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith('data:')) requests.push(request.url());
    });
    await page.goto(url);
    expect(await page.getByRole('heading').allTextContents()).toEqual([
      'Training run run',
      'Curves',
      'Classes',
      'Calibration',
      'Worst mistakes',
      'Time',
      'Configuration and origin',
    ]);
    const pictures = await page.$$eval('img', (images) => images.map(({ naturalWidth }) => naturalWidth));
    expect(pictures.length).toBeGreaterThan(0);
    expect(pictures.every((naturalWidth) => naturalWidth === 8)).toBe(true);
    expect(await page.$$eval('svg', (charts) => charts.map((chart) => chart.getAttribute('aria-label')))).toHaveLength(
      5,
    );
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    await page.screenshot({ path: join(SCREENSHOTS, `${colorScheme}-${width}.png`), fullPage: true });

    const { violations, passes } = (await page.evaluate(`${axe.source}; axe.run()`)) as AxeResults;
    expect(passes.length).toBeGreaterThan(10);
    expect(violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0]?.html}`)).toEqual([]);
    expect(requests).toEqual([url]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
