import { describe, expect, it } from 'vitest';
import { formatViewState, parseViewState } from '../../web/view-state.ts';

describe('the view in the address', () => {
  it('comes back as it was written', () => {
    const state = { sample: 'cat & dog', layer: 'layer3.0.conv1', channel: 17 };
    expect(parseViewState(formatViewState(state))).toEqual(state);
  });

  it('carries a shared picture last and a pinned model', () => {
    const state = { layer: 'layer1', channel: 2, model: 'ac7d', input: '1eJz-_w' };
    expect(formatViewState(state)).toBe('#layer=layer1&channel=2&model=ac7d&input=1eJz-_w');
    expect(parseViewState(formatViewState(state))).toEqual(state);
  });

  it('is readable', () => {
    expect(formatViewState({ sample: 'cat', layer: 'layer3.0.conv1', channel: 0 })).toBe(
      '#sample=cat&layer=layer3.0.conv1&channel=0',
    );
    expect(formatViewState({})).toBe('');
  });

  it.each([
    '#channel=-1',
    '#channel=1e3',
    '#channel=',
    '#channel=12345678',
    '#layer=',
    '#sample=',
    '#input=',
    '#model=',
    '#',
    '',
  ])('takes nothing from %j', (hash) => {
    expect(parseViewState(hash)).toEqual({});
  });
});
