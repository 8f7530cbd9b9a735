/** The page at work: what the views report becomes requests and an address, and the answers go back to the views. */
import type { Classification, LayerDescription, LayerList } from '../shared/api.ts';
import { ProductError } from '../shared/errors.ts';
import { findElement } from './element.ts';
import { explainFailure } from './explain-failure.ts';
import { planeOf } from './feature-maps.ts';
import { createInputFigure } from './input-figure.ts';
import { createKeptPictures } from './kept-pictures.ts';
import { createKeptStrip } from './kept-strip.ts';
import { groupLayers } from './layer-groups.ts';
import { createLayerPicker } from './layer-picker.ts';
import { createLayerPlate } from './layer-plate.ts';
import { createModelChoice, describeModel } from './model-choice.ts';
import type { ListedModel } from './model-choice.ts';
import type { ModelLine } from './model-line.ts';
import type { Notice } from './notice.ts';
import { formatDuration } from './number-text.ts';
import type { PictureChooser } from './picture-chooser.ts';
import { keyOf, nameOf, ownPictureOf } from './picture-source.ts';
import type { PictureSource } from './picture-source.ts';
import { createPredictionBars } from './prediction-bars.ts';
import { encodePixels, preparePicture, readInputPixels } from './read-image.ts';
import type { PictureToSend } from './read-image.ts';
import { createSampleStrip } from './sample-strip.ts';
import type { Sample } from './sample-strip.ts';
import { readLayer, server } from './server.ts';
import { createShareBar } from './share-bar.ts';
import { readOwnPicture, readViewState, writeViewState } from './view-state.ts';
import type { OwnPicture, ViewState } from './view-state.ts';

/** After it, a person is told that the page still waits. */
const SLOW_MS = 3000;

export interface ExplorerOptions {
  /** The model of this page, until it is reloaded. */
  model: LayerList['model'];
  /** Whether the link asked for it; then it stays in the address. */
  isPinned: boolean;
  /** The model that answers when none is asked for. */
  answering: LayerList['model'];
  /** That can be chosen. */
  models: readonly ListedModel[];
  layers: readonly LayerDescription[];
  classNames: readonly string[];
  samples: readonly Sample[];
  defaultSample: string;
  /** Sentences about what the link asked for in vain. */
  linkProblems: readonly string[];
  chooser: PictureChooser;
  modelLine: ModelLine;
  notice: Notice;
}

interface ShownPicture {
  source: PictureSource;
  token: string;
  own: OwnPicture | undefined;
  /** What the status line says of it. */
  summary: string;
}

/** Resolves when the view that the address names is shown, or has failed. */
export async function explore(options: ExplorerOptions): Promise<void> {
  const { model, answering, models, layers, classNames, samples, defaultSample, chooser, modelLine, notice } = options;
  const inputLayer = layers.find(({ kind }) => kind === 'input');
  const firstGroup = groupLayers(layers)[0];
  if (inputLayer === undefined || firstGroup === undefined) throw new Error('internal: a model without an input');
  const inputShape = inputLayer.shape;
  const status = findElement('status', HTMLParagraphElement);
  const layerStatus = findElement('layer-status', HTMLElement);

  const bars = createPredictionBars();
  const figure = createInputFigure();
  const plate = createLayerPlate({ classNames, changeChannel: (channel) => remember({ channel }) });
  const picker = createLayerPicker({ choose: (layer) => void chooseLayer(layer) });
  const strip = createSampleStrip({ choose: (sample) => void showPicture({ kind: 'sample', sample }) });
  const kept = createKeptPictures(() => sessionStorage);
  const keptStrip = createKeptStrip({
    choose: (picture) => void showPicture({ kind: 'kept', picture }),
    forget: () => {
      kept.forgetAll();
      keptStrip.show([]);
    },
    readPixels: (token) => readPixelsIfPossible(token),
  });
  const shareBar = createShareBar({ inputShape, share });
  const modelChoice = createModelChoice({ models, answering, choose: chooseModel });

  let state: ViewState = {};
  let currentLayer = firstGroup.output;
  /** Whether its values are on the page: a layer that was only passed through is no step of the history. */
  let isLayerRead = false;
  let current: ShownPicture | undefined;
  /** Whether the server was seen to answer with another model than that of this page. */
  let isReplaced = false;
  let pictureRequest = new AbortController();
  let layerRequest = new AbortController();

  function remember(changes: ViewState, { isNewStep = false } = {}): void {
    state = { ...state, ...changes };
    writeViewState(state, { ownPicture: current?.own, isNewStep });
  }

  /** Only the last picture that was asked for is shown. Resolves to whether it is. */
  async function showPicture(source: PictureSource, { isNewStep = true } = {}): Promise<boolean> {
    pictureRequest.abort();
    pictureRequest = new AbortController();
    const { signal } = pictureRequest;
    const name = nameOf(source);
    notice.hide();
    bars.setBusy(true);
    status.textContent = `Classifying ${name} …`;
    const slow = setTimeout(() => (status.textContent = `Still waiting for the server: ${name} …`), SLOW_MS);
    const startMs = performance.now();
    try {
      const sent = await obtainPicture(source, signal);
      signal.throwIfAborted();
      const { answer, replacement } = await classify(sent.body, signal);
      const pixels = await readInputPixels(answer.input.token, inputShape);
      signal.throwIfAborted();
      const { width, height } = answer.input;
      await figure.show({ ...sent, name, width, height }, pixels, signal);
      const summary = `Answered by ${answer.model.name} in ${formatDuration(performance.now() - startMs)}.`;
      showAnswer({ source, summary }, answer, isNewStep);
      if (source.kind === 'file') keepPicture({ token: answer.input.token, fileName: name, sent });
      status.textContent = summary;
      bars.setBusy(false);
      if (replacement !== undefined) tellReplacement(replacement);
      await showLayer(currentLayer);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      status.textContent = `No answer for ${name}.`;
      notice.show(explainFailure(error, () => void showPicture(source, { isNewStep })));
      return false;
    } finally {
      clearTimeout(slow);
      if (!signal.aborted) bars.setBusy(false);
    }
  }

  /** A page shows one model: when the server has changed to another, the page goes on with its own, and says so. */
  async function classify(
    picture: Blob,
    signal: AbortSignal,
  ): Promise<{ answer: Classification; replacement?: LayerList['model'] }> {
    const topK = classNames.length;
    const isNamed = state.model !== undefined || isReplaced || model.id !== answering.id;
    const answer = await server.classify(picture, { topK, model: isNamed ? model.id : undefined, signal });
    if (answer.model.id === model.id) return { answer };
    const own = await server.classify(picture, { topK, model: model.id, signal });
    isReplaced = true;
    return { answer: own, replacement: answer.model };
  }

  async function obtainPicture(
    source: PictureSource,
    signal: AbortSignal,
  ): Promise<PictureToSend & { note?: string | undefined }> {
    if (source.kind === 'sample') return { body: await server.readSamplePicture(source.sample, { signal }) };
    if (source.kind === 'file') return preparePicture(source.file);
    if (source.kind === 'kept' && source.picture.sent !== undefined) return source.picture.sent;
    // Of a shared picture, and of one's own after a reload, only the small one is left.
    const token = source.kind === 'kept' ? source.picture.token : source.token;
    const note =
      source.kind === 'kept'
        ? 'After the reload, this is the small picture that the network saw.'
        : 'A link carries only the small picture that the network saw.';
    return { body: await encodePixels(await readInputPixels(token, inputShape)), note };
  }

  function showAnswer(
    { source, summary }: { source: PictureSource; summary: string },
    { model: { seq }, predictions, input }: Classification,
    isNewStep: boolean,
  ): void {
    const sample = source.kind === 'sample' ? source.sample : undefined;
    const [best] = predictions;
    bars.show(predictions, sample?.label);
    strip.mark(sample?.name);
    if (sample !== undefined && best !== undefined) strip.judge(sample.name, best.label === sample.label);
    keptStrip.mark(input.token);
    modelLine.showRelease(seq);

    const isOther = current !== undefined && (source.kind === 'file' || keyOf(source) !== keyOf(current.source));
    const isShared = source.kind === 'link' || state.input === input.token;
    const { token } = input;
    const shown: PictureSource = source.kind === 'link' ? { kind: 'link', token } : source;
    current = { source: shown, token, own: ownPictureOf(source, token), summary };
    const { sample: _sample, input: _input, ...rest } = state;
    state = rest;
    remember(
      { ...(sample === undefined ? {} : { sample: sample.name }), ...(isShared ? { input: input.token } : {}) },
      { isNewStep: isNewStep && isOther },
    );
    showLink();
  }

  function keepPicture(picture: OwnPicture & { sent: PictureToSend }): void {
    kept.keep(picture);
    keptStrip.show(kept.list());
    keptStrip.mark(picture.token);
    // From here on the picture can be found again by its token.
    if (current !== undefined) current.source = { kind: 'kept', picture };
  }

  async function readPixelsIfPossible(token: string): Promise<ImageData | undefined> {
    try {
      return await readInputPixels(token, inputShape);
    } catch (error) {
      if (error instanceof ProductError) return undefined;
      throw error;
    }
  }

  function tellReplacement(replacement: LayerList['model']): void {
    notice.show({
      title: 'The server answers with another model now.',
      text: `It is ${describeModel(replacement)}. This page stays with ${describeModel(model)} until you reload it.`,
      action: { label: 'Reload', act: () => location.reload() },
    });
  }

  function showLink(): void {
    if (current === undefined) return;
    document.title = `${current.own === undefined ? nameOf(current.source) : 'Your picture'}, ${currentLayer.name} - Look inside a ResNet`;
    if (current.source.kind === 'sample') shareBar.show('sample');
    else if (current.own === undefined) shareBar.show('from-link');
    else shareBar.show(state.input === undefined ? 'own-unshared' : 'own-shared');
  }

  function share(withPicture: boolean): string {
    if (current !== undefined && current.source.kind !== 'sample') {
      const { input: _input, ...rest } = state;
      state = withPicture ? { ...rest, input: current.token } : rest;
    }
    remember({ layer: currentLayer.name });
    showLink();
    return location.href;
  }

  /** The page is made for one model: another one begins a new page, with the same view. */
  function chooseModel(modelId: string | undefined): void {
    const isOther = (modelId ?? answering.id) !== model.id;
    const { model: _model, ...rest } = state;
    state = rest;
    remember(modelId === undefined ? {} : { model: modelId }, { isNewStep: isOther });
    if (isOther) location.reload();
  }

  function chooseLayer(layer: LayerDescription): Promise<void> {
    const isNewStep = isLayerRead && layer !== currentLayer;
    currentLayer = layer;
    const channel =
      state.channel === undefined ? {} : { channel: Math.min(state.channel, planeOf(layer).channels - 1) };
    remember({ layer: layer.name, ...channel }, { isNewStep });
    return showLayer(layer);
  }

  async function showLayer(layer: LayerDescription): Promise<void> {
    layerRequest.abort();
    layerRequest = new AbortController();
    const { signal } = layerRequest;
    isLayerRead = false;
    picker.mark(layer);
    plate.reserve(layer, state.channel ?? 0);
    if (current === undefined) return;
    showLink();
    plate.setBusy(true);
    layerStatus.textContent = `Reading ${layer.name} …`;
    try {
      const { token, source } = current;
      const isSample = source.kind === 'sample';
      const reading = await readLayer(layer.name, { token, isSample, model: model.id, signal });
      signal.throwIfAborted();
      plate.show(reading);
      isLayerRead = true;
      layerStatus.textContent = '';
    } catch (error) {
      if (signal.aborted) return;
      layerStatus.textContent = `${layer.name} could not be read.`;
      notice.show(explainFailure(error, () => void showLayer(layer)));
    } finally {
      if (!signal.aborted) plate.setBusy(false);
    }
  }

  /** Shows what the address says, or `first` in place of its picture; where it names what is not here, it says so. */
  async function followAddress(problems: readonly string[], first?: PictureSource): Promise<void> {
    state = readViewState();
    const told = [...problems];
    const layer = layers.find(({ name }) => name === state.layer);
    if (layer === undefined && state.layer !== undefined) {
      told.push(`There is no layer ${state.layer}; shown instead: ${firstGroup?.output.name}.`);
    }
    currentLayer = layer ?? firstGroup?.output ?? currentLayer;
    state.layer = currentLayer.name;
    const lastChannel = planeOf(currentLayer).channels - 1;
    if (state.channel !== undefined && state.channel > lastChannel) {
      told.push(`${currentLayer.name} has no channel ${state.channel}; shown instead: ${lastChannel}.`);
      state.channel = lastChannel;
    }
    modelChoice.mark(state.model);
    picker.mark(currentLayer);
    plate.reserve(currentLayer, state.channel ?? 0);

    const source = first ?? (await findSource(told));
    if (current !== undefined && keyOf(source) === keyOf(current.source)) {
      pictureRequest.abort();
      status.textContent = current.summary;
      bars.setBusy(false);
      remember({});
      await showLayer(currentLayer);
    } else if (!(await showPicture(source, { isNewStep: false }))) return;
    if (told.length > 0) notice.show({ title: 'Not all of this link can be shown.', text: told.join(' ') });
  }

  /** The picture that the address or this history entry names; what it names in vain goes to `told`. */
  async function findSource(told: string[]): Promise<PictureSource> {
    const own = readOwnPicture();
    if (own !== undefined) return { kind: 'kept', picture: kept.find(own.token) ?? own };
    if (state.input !== undefined) {
      if ((await readPixelsIfPossible(state.input)) !== undefined) return { kind: 'link', token: state.input };
      told.push('The picture in it is damaged, or for another model; shown instead: a sample.');
    }
    const name = state.sample ?? defaultSample;
    const sample = samples.find((each) => each.name === name) ?? samples[0];
    if (sample === undefined) throw new Error('internal: the server offers no samples');
    if (sample.name !== name) told.push(`There is no sample ${name}; shown instead: ${sample.label}.`);
    return { kind: 'sample', sample };
  }

  bars.reserve(classNames.length);
  figure.reserve(inputShape);
  picker.show(layers);
  strip.show(samples);
  keptStrip.show(kept.list());
  // Also comes when the part behind the # is edited by hand.
  addEventListener('popstate', () => {
    const { model: asked = answering.id } = readViewState();
    if (asked === model.id) void followAddress([]);
    else location.reload();
  });
  // A link may call it by an alias or by the beginning of its id.
  const { model: _model, ...rest } = readViewState();
  const address = options.isPinned ? { ...rest, model: model.id } : rest;
  writeViewState(address, { ownPicture: readOwnPicture(), isNewStep: false });
  const waiting = chooser.open((file) => void showPicture({ kind: 'file', file }));
  await followAddress(options.linkProblems, waiting === undefined ? undefined : { kind: 'file', file: waiting });
}
