/** One channel at large: its map, its statistics, the colours that its values have, and the ways to its neighbours. */
import { paintValues, scaleGradient } from './colour-scale.ts';
import type { ValueRange } from './colour-scale.ts';
import { contextOf, findElement } from './element.ts';
import type { FeatureMap } from './feature-maps.ts';
import { formatCount, formatPercent, formatValue } from './number-text.ts';

interface ShownChannel {
  map: FeatureMap;
  height: number;
  width: number;
  range: ValueRange;
  channels: number;
  label: string | undefined;
}

export interface ChannelDetail {
  show(channel: ShownChannel): void;
}

export function createChannelDetail({ choose }: { choose: (channel: number) => void }): ChannelDetail {
  const canvas = findElement('channel-map', HTMLCanvasElement);
  const title = findElement('channel-title', HTMLElement);
  const state = findElement('channel-state', HTMLElement);
  const reading = findElement('channel-value', HTMLElement);
  const figures = {
    min: findElement('channel-min', HTMLElement),
    max: findElement('channel-max', HTMLElement),
    mean: findElement('channel-mean', HTMLElement),
    zeros: findElement('channel-zeros', HTMLElement),
  };
  const ends = { min: findElement('scale-min', HTMLElement), max: findElement('scale-max', HTMLElement) };
  const previous = findElement('channel-previous', HTMLButtonElement);
  const next = findElement('channel-next', HTMLButtonElement);
  let shown: ShownChannel | undefined;
  findElement('scale', HTMLDivElement).style.backgroundImage = scaleGradient();

  function stepBy(offset: number): void {
    if (shown === undefined) return;
    const target = shown.map.statistics.channel + offset;
    if (target >= 0 && target < shown.channels) choose(target);
  }

  previous.addEventListener('click', () => stepBy(-1));
  next.addEventListener('click', () => stepBy(1));
  canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
    if (shown === undefined) return;
    const { map, height, width } = shown;
    const row = Math.min(height - 1, Math.max(0, Math.floor((offsetY / canvas.clientHeight) * height)));
    const column = Math.min(width - 1, Math.max(0, Math.floor((offsetX / canvas.clientWidth) * width)));
    const value = map.values[row * width + column];
    reading.textContent = value === undefined ? '' : `${row}, ${column}: ${formatValue(value)}`;
  });
  canvas.addEventListener('pointerleave', () => (reading.textContent = ''));

  return {
    show(channelShown) {
      shown = channelShown;
      const { map, height, width, range, channels, label } = channelShown;
      const { channel, min, max, mean, zeros, dead } = map.statistics;
      const place = dead ? 'dead: zero everywhere' : `one of ${formatCount(channels)}`;
      title.textContent = label ?? `Channel ${channel}`;
      state.textContent = label === undefined ? place : `channel ${channel}, ${place}`;
      state.classList.toggle('is-dead', dead);
      figures.min.textContent = formatValue(min);
      figures.max.textContent = formatValue(max);
      figures.mean.textContent = formatValue(mean);
      figures.zeros.textContent = formatPercent(zeros);
      ends.min.textContent = formatValue(range.min);
      ends.max.textContent = formatValue(range.max);
      reading.textContent = '';
      // Not disabled: a button that vanishes from the tab order under the finger loses the focus.
      previous.setAttribute('aria-disabled', String(channel === 0));
      next.setAttribute('aria-disabled', String(channel === channels - 1));

      canvas.width = width;
      canvas.height = height;
      const image = new ImageData(width, height);
      paintValues(map.values, range, image.data);
      contextOf(canvas).putImageData(image, 0, 0);
    },
  };
}
