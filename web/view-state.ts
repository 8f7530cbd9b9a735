/**
 * What is shown, in the address, so that a reload, a link and the back button give the same view:
 * `#sample=<name>&layer=<name>&channel=<number>`, with `input=<token>` for a picture that its owner shares, and
 * `model=<id>` for a model that is pinned. It stands behind the `#`, which browsers do not send. A picture that is not
 * shared stays out of the address: its token is in this tab's history entry.
 */
export interface ViewState {
  sample?: string;
  /** The token of a shared picture: the pixels that the network saw. */
  input?: string;
  layer?: string;
  channel?: number;
  model?: string;
}

export interface OwnPicture {
  /** The input token of `/classify`. */
  token: string;
  fileName: string;
}

export function parseViewState(hash: string): ViewState {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const state: ViewState = {};
  for (const name of ['sample', 'input', 'layer', 'model'] as const) {
    const text = fields.get(name);
    if (text !== null && text !== '') state[name] = text;
  }
  const channel = fields.get('channel');
  if (channel !== null && /^\d{1,6}$/.test(channel)) state.channel = Number(channel);
  return state;
}

/** The picture comes last: it is long, and what a person may want to read or edit stands before it. */
export function formatViewState({ sample, layer, channel, model, input }: ViewState): string {
  const fields = new URLSearchParams();
  if (sample !== undefined) fields.set('sample', sample);
  if (layer !== undefined) fields.set('layer', layer);
  if (channel !== undefined) fields.set('channel', String(channel));
  if (model !== undefined) fields.set('model', model);
  if (input !== undefined) fields.set('input', input);
  return fields.size === 0 ? '' : `#${fields}`;
}

export function readViewState(): ViewState {
  return parseViewState(location.hash);
}

interface HistoryEntry {
  ownPicture: OwnPicture | undefined;
  /** Whether the back button comes back to what was shown before. */
  isNewStep: boolean;
}

export function writeViewState(state: ViewState, { ownPicture, isNewStep }: HistoryEntry): void {
  const address = formatViewState(state) || location.pathname;
  if (isNewStep) history.pushState(ownPicture ?? null, '', address);
  else history.replaceState(ownPicture ?? null, '', address);
}

export function readOwnPicture(): OwnPicture | undefined {
  const state: unknown = history.state;
  if (typeof state !== 'object' || state === null) return undefined;
  const { token, fileName } = state as Partial<Record<keyof OwnPicture, unknown>>;
  return typeof token === 'string' && typeof fileName === 'string' ? { token, fileName } : undefined;
}
