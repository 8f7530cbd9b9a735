/** A model store in a bucket of Cloudflare R2, as a Worker reads it. R2 is strongly consistent: a pointer is never stale. */
import type { AssetSource } from '../asset-source.ts';

export function readBucket(bucket: R2Bucket): AssetSource {
  return {
    async read(path) {
      const object = await bucket.get(path);
      return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
    },
    async list(folder) {
      const prefix = folder === '' ? '' : `${folder}/`;
      const names: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await bucket.list({ prefix, delimiter: '/', ...(cursor === undefined ? {} : { cursor }) });
        names.push(...page.objects.map(({ key }) => key), ...page.delimitedPrefixes.map((key) => key.slice(0, -1)));
        cursor = page.truncated ? page.cursor : undefined;
      } while (cursor !== undefined);
      return names.map((name) => name.slice(prefix.length));
    },
  };
}
