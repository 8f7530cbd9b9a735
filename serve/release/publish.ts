/** `publish`: a model folder of this machine into a store. Nobody is served it before it is promoted. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EVALUATION_FILE, MANIFEST_FILE } from '../../shared/manifest.ts';
import { checkEvaluation, checkModelFolder, type ModelFolderFiles } from '../../shared/model-folder.ts';
import { readFolder } from '../node/asset-folder.ts';
import { sha256Hex } from '../sha256.ts';
import { publishModel, type FileOutcome, type PublishableModel } from '../store/published-models.ts';
import { JSON_HELP, parseCommandLine, STORE_HELP, type ReleaseCommand } from './command.ts';
import { useStore } from './open-store.ts';

export const publishCommand: ReleaseCommand = {
  summary: 'put a model folder into a store',
  usage: `npm run release -- publish MODEL_DIR [options]

Verifies a model folder and copies it into a store: files first, the manifest last. What is published never changes; an
interrupted publish goes on when the same command is given again.

${STORE_HELP}
${JSON_HELP}`,

  async run(args, { print, report, environment }) {
    const { words, store: address, isJson } = parseCommandLine(args, { words: ['MODEL_DIR'] });
    const model = await readModelFolder(words[0] ?? '');
    const { modelId, name } = model.manifest;
    const counts: Record<FileOutcome, number> = { written: 0, present: 0, replaced: 0 };
    let sizeBytes = 0;
    await useStore(address, { environment, mayBeNew: true }, (store) =>
      publishModel(store, model, (file) => {
        counts[file.outcome] += 1;
        sizeBytes += file.sizeBytes;
        const size = `${(file.sizeBytes / 1e6).toFixed(2)} MB`.padStart(9);
        report(`${size}  ${file.path}${file.outcome === 'written' ? '' : ` (${file.outcome})`}`);
      }),
    );
    if (isJson) return print(JSON.stringify({ modelId, name, sizeBytes, files: counts }));
    const isNew = counts.written > 0;
    print(
      `${name} is ${isNew ? '' : 'already '}in ${address}: ${(sizeBytes / 1e6).toFixed(2)} MB\nmodel ${modelId}\nto serve it: npm run release -- promote ${modelId.slice(0, 8)}${address === 'store' ? '' : ` --store '${address}'`}`,
    );
  },
};

/** What "npm run model -- check" accepts, and nothing else. Errors: those of `checkModelFolder`. */
async function readModelFolder(folder: string): Promise<PublishableModel> {
  const source = readFolder(folder);
  const files: ModelFolderFiles = {
    describe: (file) => join(folder, file),
    read: (file) => source.read(file),
    sha256: sha256Hex,
    decodeUtf8: (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes),
  };
  const model = await checkModelFolder(files);
  const evaluation = await checkEvaluation(files, model.manifest.modelId);
  const read = async (file: string) => new Uint8Array(await readFile(join(folder, file)));
  return {
    ...model,
    manifestBytes: await read(MANIFEST_FILE),
    ...(evaluation === undefined ? {} : { evaluationBytes: await read(EVALUATION_FILE) }),
  };
}
