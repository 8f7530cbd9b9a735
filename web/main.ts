/** The beginning: asks the server for its model, layers and samples, and hands the page over to the explorer. */
// Before all that makes a schema.
import './validator.ts';
import type { LayerList } from '../shared/api.ts';
import { ApiError } from '../shared/client/api-error.ts';
import { findElement } from './element.ts';
import { explainFailure } from './explain-failure.ts';
import { explore } from './explorer.ts';
import type { ListedModel } from './model-choice.ts';
import { createModelLine, shortenId } from './model-line.ts';
import { createNotice } from './notice.ts';
import { createPictureChooser } from './picture-chooser.ts';
import { server } from './server.ts';
import { readViewState } from './view-state.ts';

const notice = createNotice();
const modelLine = createModelLine();
const status = findElement('status', HTMLParagraphElement);
const chooser = createPictureChooser({
  explain: (title, text) => notice.show({ title, text }),
  defer: (file) => (status.textContent = `${file.name} waits until the server has a model …`),
});

void start();

async function start(): Promise<void> {
  status.textContent = 'Asking the server for its model …';
  try {
    const [{ models }, answering, { samples, default: defaultSample }] = await Promise.all([
      server.listModels(),
      server.listLayers(),
      server.listSamples(),
    ]);
    const { list, isPinned, problem } = await followPin(answering);
    const { model, layers } = list;
    const listed = models.find(({ id }) => id === model.id);
    const own = listed ?? (await readUnlisted(model.id));
    document.documentElement.removeAttribute('data-failed');
    modelLine.show({ model, layers, classes: own.classNames.length });
    await explore({
      model,
      isPinned,
      answering: answering.model,
      models: listed === undefined ? [...models, own] : models,
      layers,
      classNames: own.classNames,
      samples,
      defaultSample,
      linkProblems: problem === undefined ? [] : [problem],
      chooser,
      modelLine,
      notice,
    });
  } catch (error) {
    status.textContent = 'The page could not start. Reload it to try again.';
    document.documentElement.toggleAttribute('data-failed', true);
    notice.show(explainFailure(error, () => void start()));
  }
}

/** A model that was published and never answered by default. */
async function readUnlisted(id: string): Promise<ListedModel> {
  const { modelId, name, classNames } = await server.readModel(id);
  return { id: modelId, name, classNames };
}

interface FollowedPin {
  list: LayerList;
  isPinned: boolean;
  problem?: string;
}

/** The layers of the model that the link pins, or of the one that answers, with a sentence that says why. */
async function followPin(answering: LayerList): Promise<FollowedPin> {
  const { model } = readViewState();
  if (model === undefined) return { list: answering, isPinned: false };
  if (model === answering.model.id) return { list: answering, isPinned: true };
  try {
    return { list: await server.listLayers({ model }), isPinned: true };
  } catch (error) {
    if (!(error instanceof ApiError) || error.isTemporary) throw error;
    const problem = `This server cannot answer with the model ${shortenId(model)}; it answers with ${answering.model.name}.`;
    return { list: answering, isPinned: false, problem };
  }
}
