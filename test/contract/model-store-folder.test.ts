/** The contract of model stores on a folder. */
import { describe } from 'vitest';
import { openFolderStore } from '../../serve/node/folder-store.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { testModelStore } from './model-store.ts';

describe('a model store in a folder', () => {
  let folder = '';
  testModelStore(
    async () => openFolderStore((folder = await makeTemporaryFolder())),
    async () => openFolderStore(folder),
  );
});
