/** The beginning: asks the server for its model, layers and samples, and hands the page over to the explorer. */
import type { LayerList } from '../shared/api.ts';
import { ApiFailure, listLayers, listModels, listSamples } from './api-client.ts';
import { findElement } from './element.ts';
import { explainFailure } from './explain-failure.ts';
import { explore } from './explorer.ts';
import { createModelLine } from './model-line.ts';
import { createNotice } from './notice.ts';
import { readViewState } from './view-state.ts';

const notice = createNotice();
const modelLine = createModelLine();
const status = findElement('status', HTMLParagraphElement);

void start();

async function start(): Promise<void> {
  status.textContent = 'Asking the server for its model …';
  try {
    const [{ models }, answering, { samples, default: defaultSample }] = await Promise.all([
      listModels(),
      listLayers(),
      listSamples(),
    ]);
    const { list, problem } = await followPin(answering);
    const { model, layers } = list;
    const classNames = models.find(({ id }) => id === model.id)?.classNames;
    if (classNames === undefined) throw new Error(`internal: the server does not list the model ${model.id}`);
    document.documentElement.removeAttribute('data-failed');
    modelLine.show({ model, layers, classes: classNames.length });
    await explore({
      model,
      isPinned: readViewState().model === model.id,
      requestedModel: list === answering ? undefined : model.id,
      layers,
      classNames,
      samples,
      defaultSample,
      linkProblems: problem === undefined ? [] : [problem],
      modelLine,
      notice,
    });
  } catch (error) {
    status.textContent = 'The page could not start. Reload it to try again.';
    document.documentElement.toggleAttribute('data-failed', true);
    notice.show(explainFailure(error, () => void start()));
  }
}

/** The layers of the model that the link pins, or of the one that answers, with a sentence that says why. */
async function followPin(answering: LayerList): Promise<{ list: LayerList; problem?: string }> {
  const { model } = readViewState();
  if (model === undefined || model === answering.model.id) return { list: answering };
  try {
    return { list: await listLayers(model) };
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.isTemporary) throw error;
    const problem = `This server cannot answer with the model ${model.slice(0, 8)}; it answers with ${answering.model.name}.`;
    return { list: answering, problem };
  }
}
