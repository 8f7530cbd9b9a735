/** Reading a bucket of Cloudflare R2 through its binding. R2 is strongly consistent: a pointer is never stale. */
import type { AssetSource } from '../asset-source.ts';

/** What bindings say of an object. */
export interface StoredObject {
  key: string;
  /** Of the content. */
  etag: string;
  size: number;
}

type ListPage = { objects: StoredObject[]; delimitedPrefixes: string[] } & (
  | { truncated: true; cursor: string }
  | { truncated: false }
);

/** What reading needs of a binding (`R2Bucket`), which is there in a Worker and, through wrangler, on Node. */
export interface ReadableBucket {
  get(key: string): Promise<(StoredObject & { arrayBuffer(): Promise<ArrayBuffer> }) | null>;
  list(options: { prefix: string; delimiter: string; cursor?: string }): Promise<ListPage>;
}

export function readBucket(bucket: ReadableBucket): Required<Omit<AssetSource, 'readInto'>> {
  return {
    async read(path) {
      const object = await bucket.get(path);
      return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
    },
    async list(folder) {
      const prefix = folder === '' ? '' : `${folder}/`;
      const names: string[] = [];
      let page: ListPage | undefined;
      do {
        const cursor = page?.truncated === true ? { cursor: page.cursor } : {};
        page = await bucket.list({ prefix, delimiter: '/', ...cursor });
        names.push(...page.objects.map(({ key }) => key), ...page.delimitedPrefixes.map((key) => key.slice(0, -1)));
      } while (page.truncated);
      return names.map((name) => name.slice(prefix.length));
    },
  };
}
