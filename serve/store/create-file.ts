/** What all stores do when a file that never changes is there already. */
import { ProductError } from '../../shared/errors.ts';
import type { ModelStore } from './model-store.ts';

/** False, as `create` answers for a file with this content. Errors: 'store/occupied'. */
export async function compareExisting(
  store: Pick<ModelStore, 'name' | 'read'>,
  path: string,
  bytes: Uint8Array,
): Promise<false> {
  const existing = await store.read(path);
  if (existing !== undefined && haveSameBytes(existing, bytes)) return false;
  throw occupied(store.name, path);
}

export function haveSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function occupied(name: string, path: string): ProductError {
  return new ProductError(
    'store/occupied',
    `${path} is in ${name} already, with another content; what is in a store under this name never changes: look at the file, and remove it if it does not belong there`,
    { details: { path } },
  );
}
