/** Walking through the layers and channels. */
import { expect, it } from 'vitest';
import { formatValue } from '../../web/number-text.ts';
import { describePage, readView, waitUntilRead } from './page-bench.ts';

interface LayerAnswer {
  layer: { shape: [height: number, width: number, channels: number] };
  channels: { min: number; max: number; mean: number; dead: boolean }[];
  values: number[];
}

describePage('the layers on the page', ({ openPage, url }) => {
  async function readLayer(path: string): Promise<LayerAnswer> {
    return (await (await fetch(`${url()}/activations/${path}`)).json()) as LayerAnswer;
  }

  it('changes stage, layer and channel by keyboard', async () => {
    const page = await openPage();
    await page.locator('#stages input:checked').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await waitUntilRead(page);
    expect(await readView(page)).toMatchObject({ layer: 'layer2', channels: 128, channel: 'Channel 0' });

    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowLeft');
    await waitUntilRead(page);
    expect(await readView(page)).toMatchObject({ layer: 'layer2.1', channels: 128 });

    // Behind the choice of the scale and the ways to the neighbours is the grid: one stop for all of its cells.
    for (let stop = 0; stop < 4; stop++) await page.keyboard.press('Tab');
    const first = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    expect(first).toMatch(/^Channel 0: (?:from \S+ to \S+, mean \S+, .+ % zeros|dead, zero everywhere)$/);
    await page.keyboard.press('End');
    expect(await readView(page)).toMatchObject({ channel: 'Channel 127' });
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowUp');
    const columns = await page.locator('#channels').evaluate((grid) => {
      return getComputedStyle(grid).gridTemplateColumns.split(' ').length;
    });
    expect(await page.locator('#channel-title').innerText()).toBe(`Channel ${126 - columns}`);
    expect(await page.locator('.cell[tabindex="0"]').count()).toBe(1);
    expect(page.url()).toContain(`layer=layer2.1&channel=${126 - columns}`);
  });

  it('shows where the keyboard is on everything that it reaches', async () => {
    const page = await openPage('#layer=probs');
    const stops: string[] = [];
    for (let stop = 0; stop < 60; stop++) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const focused = document.activeElement;
        if (focused === null || focused === document.body) return undefined;
        // Radios and the file input lie unseen in or beside the label that shows the focus.
        const label = focused.closest('label') ?? focused.nextElementSibling;
        const outlined = [focused, label].some((each) => {
          if (each === null) return false;
          const { outlineStyle, outlineWidth } = getComputedStyle(each);
          return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
        });
        return `${outlined ? '' : 'NOT SEEN '}${focused.id || focused.className || focused.tagName}`;
      });
      if (seen === undefined) break;
      stops.push(seen);
    }
    expect(stops.filter((stop) => stop.startsWith('NOT SEEN'))).toEqual([]);
    expect(stops).toContain('file');
    expect(stops).toContain('channel-next');
    expect(stops.at(-1)).toBe('cell');
  });

  it('shows the statistics and draws the values that the API gives for a channel', async () => {
    const page = await openPage('#sample=cat-ginger&layer=layer1.0.conv1&channel=5');
    const { layer, channels, values } = await readLayer('layer1.0.conv1?sample=cat-ginger&values=true');
    const { min, max, mean } = channels[5] ?? { min: Number.NaN, max: Number.NaN, mean: Number.NaN };
    expect(await page.locator('#channel-min').innerText()).toBe(formatValue(min));
    expect(await page.locator('#channel-max').innerText()).toBe(formatValue(max));
    expect(await page.locator('#channel-mean').innerText()).toBe(formatValue(mean));

    const [height, width, count] = layer.shape;
    const plane = Array.from({ length: height * width }, (_, place) => values[place * count + 5] ?? Number.NaN);
    const brightest = plane.indexOf(Math.max(...plane));
    const [row, column] = [Math.floor(brightest / width), brightest % width];
    const colour = await page.locator('#channel-map').evaluate(
      (canvas, place) => {
        if (!(canvas instanceof HTMLCanvasElement)) return undefined;
        const data = canvas.getContext('2d')?.getImageData(place.column, place.row, 1, 1).data;
        return { size: [canvas.width, canvas.height], brightest: [...(data ?? [])] };
      },
      { row, column },
    );
    expect(colour).toEqual({ size: [width, height], brightest: [248, 246, 206, 255] });

    const map = page.locator('#channel-map');
    const side = (await map.boundingBox())?.width ?? Number.NaN;
    await map.hover({ position: { x: ((column + 0.5) / width) * side, y: ((row + 0.5) / height) * side } });
    expect(await page.locator('#channel-value').innerText()).toBe(`${row}, ${column}: ${formatValue(max)}`);
  });

  it('goes to the previous and the next channel, and not beyond the last', async () => {
    const page = await openPage('#layer=layer1&channel=62');
    const next = page.getByRole('button', { name: 'Next channel' });
    await next.click();
    expect(await page.locator('#channel-title').innerText()).toBe('Channel 63');
    expect(page.url()).toContain('channel=63');
    expect(await next.getAttribute('aria-disabled')).toBe('true');
    // By keyboard, because a mouse of Playwright refuses what is disabled.
    await next.focus();
    await page.keyboard.press('Enter');
    expect(await page.locator('#channel-title').innerText()).toBe('Channel 63');
    await page.getByRole('button', { name: 'Previous channel' }).click();
    await page.getByRole('button', { name: 'Previous channel' }).click();
    expect(await page.locator('#channel-title').innerText()).toBe('Channel 61');
    expect(await page.locator('.cell[aria-selected="true"]').getAttribute('aria-label')).toMatch(/^Channel 61:/);
  });

  it('tells dead channels from others', async () => {
    const page = await openPage('#sample=cat-ginger&layer=layer4');
    const { channels } = await readLayer('layer4?sample=cat-ginger');
    const dead = channels.flatMap((each, index) => (each.dead ? [index] : []));
    expect(dead.length).toBeGreaterThan(0);
    const shown = await page
      .locator('.cell')
      .evaluateAll((cells) => cells.flatMap((cell, index) => (cell.classList.contains('is-dead') ? [index] : [])));
    expect(shown).toEqual(dead);
    await page
      .locator('.cell')
      .nth(dead[0] ?? 0)
      .click();
    expect(await page.locator('#channel-state').innerText()).toBe('dead: zero everywhere');
  });

  it('names the classes on the last layers', async () => {
    const page = await openPage('#sample=cat-ginger&layer=probs');
    const labels = await page.locator('.cell-label').allInnerTexts();
    const { models } = (await (await fetch(`${url()}/models`)).json()) as { models: { classNames: string[] }[] };
    expect(labels).toEqual(models[0]?.classNames);
  });

  it('colours by the range of each map or of the whole layer', async () => {
    const page = await openPage('#layer=layer2');
    const largest = await page.locator('.cell').evaluateAll((cells) =>
      cells.map((cell) => {
        const [, text = '0'] = / to (\S+),/.exec(cell.getAttribute('aria-label') ?? '') ?? [];
        return Number(text.replaceAll('−', '-'));
      }),
    );
    const weakest = largest.indexOf(Math.min(...largest));
    await page.locator('.cell').nth(weakest).click();
    const scaleMax = page.locator('#scale-max');
    expect(await scaleMax.innerText()).toBe(await page.locator('#channel-max').innerText());
    await page.locator('#scale-layer').check();
    expect(Number(await scaleMax.innerText())).toBe(Math.max(...largest));
    expect(Math.max(...largest)).toBeGreaterThan(largest[weakest] ?? Number.NaN);
  });
});
