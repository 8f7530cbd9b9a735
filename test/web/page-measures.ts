/** What WCAG 2.2 AA lets one measure on a page: contrast of text (1.4.3) and the size of targets (2.5.8). */
import type { Page } from 'playwright-core';

/** Visible texts with less contrast than required, as "ratio text"; empty when all is well. */
export function measureContrast(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    type Colour = [red: number, green: number, blue: number, alpha: number];
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    if (canvas === null) throw new Error('no canvas to read colours with');

    const readColour = (text: string): Colour => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [red = 0, green = 0, blue = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data;
      return [red, green, blue, alpha / 255];
    };
    const compose = (over: Colour, under: Colour): Colour => {
      const mix = (index: 0 | 1 | 2): number => over[index] * over[3] + under[index] * (1 - over[3]);
      return [mix(0), mix(1), mix(2), 1];
    };
    const backgroundOf = (element: Element | null): Colour => {
      if (element === null) return [255, 255, 255, 1];
      const own = readColour(getComputedStyle(element).backgroundColor);
      return own[3] === 1 ? own : compose(own, backgroundOf(element.parentElement));
    };
    const luminanceOf = (colour: Colour): number => {
      const [red, green, blue] = colour.map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      }) as [number, number, number, number];
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };

    const failures: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      const text = node.textContent?.trim() ?? '';
      if (element === null || text === '' || !element.checkVisibility()) continue;
      const style = getComputedStyle(element);
      const background = backgroundOf(element);
      const [lighter = 0, darker = 0] = [compose(readColour(style.color), background), background]
        .map(luminanceOf)
        .toSorted((a, b) => b - a);
      const ratio = (lighter + 0.05) / (darker + 0.05);
      const size = Number.parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (isLarge ? 3 : 4.5)) failures.push(`${ratio.toFixed(2)} ${text}`);
    }
    return failures;
  });
}

/** Visible targets smaller than 24 x 24 px, as "width x height description"; empty when all is well. */
export function measureTargets(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const targets = document.querySelectorAll('a, button, label, [role="option"]');
    return [...targets].flatMap((target) => {
      if (!target.checkVisibility()) return [];
      const { width, height } = target.getBoundingClientRect();
      const name = target.getAttribute('aria-label') ?? target.textContent?.trim();
      return width < 24 || height < 24 ? [`${width} x ${height} ${name}`] : [];
    });
  });
}
