/** What can be measured of the looks: contrast, targets, accessibility rules, layout shift, width. */
import { join } from 'node:path';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { measureContrast, measureTargets } from './page-measures.ts';
import { chooseFile, describePage, drop, SCREENSHOTS, waitForNotice, waitForPicture } from './page-bench.ts';

const LOOKS = [
  { width: 320, height: 640, colorScheme: 'light' },
  { width: 320, height: 640, colorScheme: 'dark' },
  { width: 1280, height: 800, colorScheme: 'light' },
  { width: 1280, height: 800, colorScheme: 'dark' },
] as const;

/** Violations of axe that are serious or critical, as "rule: where"; empty when all is well. */
function runAxe(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { axe: runner } = window as unknown as { axe: typeof axe };
    const { violations } = await runner.run(document, { resultTypes: ['violations'] });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
  });
}

describePage('the looks of the page', ({ openPage }) => {
  /** In every look: what axe finds, too little contrast, small targets, scrolling to the side; empty when all is well. */
  async function listProblems(page: Page, name: string): Promise<string[]> {
    await page.evaluate(axe.source);
    const problems: string[] = [];
    for (const { width, height, colorScheme } of LOOKS) {
      await page.setViewportSize({ width, height });
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const scrollWidth = await page.evaluate(() => document.documentElement.scrollWidth);
      const found = [
        ...(await runAxe(page)),
        ...(await measureContrast(page)),
        ...(await measureTargets(page)),
        ...(scrollWidth > width ? [`is ${scrollWidth} px wide`] : []),
      ];
      problems.push(...found.map((problem) => `${width} px, ${colorScheme}: ${problem}`));
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
    return problems;
  }

  it('is accessible with a sample and a layer of maps', async () => {
    const page = await openPage('#layer=layer3');
    expect(await listProblems(page, 'sample')).toEqual([]);
  });

  it('is accessible with a picture of one’s own, the classes and a notice', async () => {
    const page = await openPage('#layer=probs');
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    await chooseFile(page, 'notes.txt', Buffer.from('words'));
    await waitForNotice(page, 'no known kind of image');
    expect(await listProblems(page, 'own')).toEqual([]);
  });

  it('is accessible while a file is over the page', async () => {
    const page = await openPage();
    await drop(page, [{ name: 'a.png', type: 'image/png', bytes: Buffer.alloc(1) }], { isReleased: false });
    expect(await listProblems(page, 'dropping')).toEqual([]);
  });

  it('finds what is planted: axe, contrast, target and width', async () => {
    const page = await openPage('#layer=probs', { viewport: { width: 320, height: 640 } });
    await page.evaluate(() => {
      const planted = document.createElement('button');
      planted.style.cssText = 'width: 20px; height: 20px; color: #eee; background: #fff; margin-left: 400px';
      document.querySelector('main')?.append(planted);
      const pale = document.createElement('p');
      pale.textContent = 'pale';
      pale.style.cssText = 'color: #eee; background: #fff';
      document.querySelector('main')?.append(pale);
    });
    await page.evaluate(axe.source);
    const found = (await runAxe(page)).map((text) => text.split(':')[0]);
    expect(found).toEqual(expect.arrayContaining(['button-name', 'color-contrast']));
    expect(await measureContrast(page)).toEqual([expect.stringMatching(/ pale$/)]);
    expect(await measureTargets(page)).toEqual([expect.stringMatching(/^20 x 20/)]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeGreaterThan(320);
  });

  it.each([320, 768, 1280])(
    'moves nothing while it loads, and when pictures and layers change, at %d px',
    async (width) => {
      const page = await openPage('#layer=layer2', { viewport: { width, height: 800 } });
      await chooseFile(page, 'mine.png');
      await waitForPicture(page, 'mine.png');
      await page.locator('.sample', { hasText: 'ship' }).click();
      await waitForPicture(page, 'ship');
      const shift = await page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            let sum = 0;
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) sum += (entry as PerformanceEntry & { value: number }).value;
            }).observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => resolve(sum), 300);
          }),
      );
      expect(shift).toBeLessThan(0.02);
    },
  );

  it('moves nothing for people who asked for less motion', async () => {
    const page = await openPage('#layer=probs', { reducedMotion: 'reduce' });
    const moving = await page.evaluate(
      () =>
        [...document.querySelectorAll('*')].filter((each) => {
          const { transitionDuration, animationName } = getComputedStyle(each);
          return Number.parseFloat(transitionDuration) > 0 || animationName !== 'none';
        }).length,
    );
    expect(moving).toBe(0);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    const bar = await page
      .locator('.bar-fill')
      .first()
      .evaluate((each) => getComputedStyle(each).transitionDuration);
    expect(Number.parseFloat(bar)).toBeGreaterThan(0);
  });
});
