/** The plate of one layer: what the layer is, its channels as a grid, one of them at large, and the scale of colours. */
import type { LayerDescription } from '../shared/api.ts';
import { createActivationGrid } from './activation-grid.ts';
import { createChannelDetail } from './channel-detail.ts';
import type { ValueRange } from './colour-scale.ts';
import { findElement } from './element.ts';
import { cutChannels, planeOf } from './feature-maps.ts';
import type { FeatureMap, FeatureMaps } from './feature-maps.ts';
import { describeKind } from './layer-words.ts';
import { formatCount, formatShape } from './number-text.ts';
import type { LayerReading } from './server.ts';

export interface LayerPlate {
  /**
   * Shows what is known of a layer before its values are; the layer that is shown keeps its values until the next ones
   * come. `channel` is taken back to the last one if there are less.
   */
  reserve(layer: LayerDescription, channel: number): void;
  show(reading: LayerReading): void;
  setBusy(isBusy: boolean): void;
}

interface LayerPlateOptions {
  /** A layer of as many features has one for each class. */
  classNames: readonly string[];
  changeChannel: (channel: number) => void;
}

export function createLayerPlate({ classNames, changeChannel }: LayerPlateOptions): LayerPlate {
  const title = findElement('layer-title', HTMLElement);
  const facts = findElement('layer-facts', HTMLElement);
  const sentence = findElement('layer-sentence', HTMLElement);
  const scaleChoice = findElement('scale-choice', HTMLFieldSetElement);
  const sharedScale = findElement('scale-layer', HTMLInputElement);
  const ownScale = findElement('scale-channel', HTMLInputElement);
  const detail = createChannelDetail({ choose: selectChannel });
  const grid = createActivationGrid({ choose: selectChannel });
  let labels: readonly string[] | undefined;
  let reserved: LayerDescription | undefined;
  let shown: FeatureMaps | undefined;
  let current = 0;

  /** A single value has no range of its own: features are always compared with each other. */
  function rangeOf({ statistics }: FeatureMap): ValueRange {
    if (shown === undefined) throw new Error('internal: a range is asked for before there are values');
    const isPlane = shown.height * shown.width > 1;
    return isPlane && ownScale.checked ? { min: statistics.min, max: statistics.max } : shown.range;
  }

  function showChannel(): void {
    const map = shown?.maps[current];
    if (shown === undefined || map === undefined) return;
    const { height, width, maps } = shown;
    detail.show({ map, height, width, range: rangeOf(map), channels: maps.length, label: labels?.[current] });
  }

  function selectChannel(channel: number): void {
    current = channel;
    grid.mark(channel);
    showChannel();
    changeChannel(channel);
  }

  function reserveLayer(layer: LayerDescription): void {
    const { height, width, channels } = planeOf(layer);
    const { name, sentence: words } = describeKind(layer.kind);
    const isFeatures = layer.shape.length === 1;
    labels = isFeatures && channels === classNames.length ? classNames : undefined;
    shown = undefined;
    title.textContent = layer.name;
    sentence.textContent = words;
    const parameters = layer.parameters === 0 ? 'no parameters' : `${formatCount(layer.parameters)} parameters`;
    facts.textContent = `${name}, ${formatShape(layer.shape)}, ${parameters}.`;
    scaleChoice.classList.toggle('is-void', isFeatures);
    grid.reserve({ height, width, channels, labels });
  }

  function repaint(): void {
    if (shown === undefined) return;
    grid.show(shown, rangeOf);
    showChannel();
  }

  for (const choice of [ownScale, sharedScale]) choice.addEventListener('change', repaint);

  return {
    reserve(layer, channel) {
      const { channels } = planeOf(layer);
      current = Math.min(channel, channels - 1);
      if (layer !== reserved) reserveLayer(layer);
      reserved = layer;
      grid.mark(current);
      showChannel();
    },
    show(reading) {
      shown = cutChannels(reading);
      repaint();
    },
    setBusy(isBusy) {
      grid.setBusy(isBusy);
    },
  };
}
