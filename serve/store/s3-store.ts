/**
 * A model store in a bucket behind S3's interface with conditional writes (`If-Match`, `If-None-Match`): Cloudflare R2
 * from anywhere, AWS S3, and servers that speak the same.
 */
import { compareExisting, haveSameBytes } from './create-file.ts';
import type { ModelStore } from './model-store.ts';
import { createS3Client, type S3Credentials, type S3Location } from './s3-client.ts';

export interface S3StoreOptions {
  name: string;
  location: S3Location;
  /** Folder of the bucket that the store is in; `''` for the bucket itself. */
  prefix: string;
  credentials: S3Credentials;
}

const [OK, NOT_FOUND, CONDITION_FAILED] = [200, 404, 412];

export function openS3Store({ name, location, prefix, credentials }: S3StoreOptions): ModelStore {
  const request = createS3Client(name, location, credentials);
  const root = prefix === '' ? '' : `${prefix}/`;
  const objectPath = (path: string): string => `/${`${root}${path}`.split('/').map(encodeURIComponent).join('/')}`;

  async function readVersioned(path: string) {
    const { status, headers, body } = await request({ path: objectPath(path) }, [OK, NOT_FOUND]);
    if (status === NOT_FOUND) {
      await assertOnlyFileMissing(body);
      return undefined;
    }
    return { bytes: body, version: headers.get('etag') ?? '' };
  }

  /** The same status means that a bucket or a user is not there: listing tells. */
  async function assertOnlyFileMissing(body: Uint8Array): Promise<void> {
    if (!new TextDecoder().decode(body).includes('NoSuchKey')) await listPage(root, undefined);
  }

  async function put(path: string, bytes: Uint8Array<ArrayBuffer>, expected: string | undefined): Promise<boolean> {
    const condition: Record<string, string> =
      expected === undefined ? { 'if-none-match': '*' } : { 'if-match': expected };
    const headers = { 'content-type': 'application/octet-stream', ...condition };
    const answer = await request(
      { method: 'PUT', path: objectPath(path), headers, body: bytes },
      // A file that was to be replaced and is gone is a condition that does not hold.
      expected === undefined ? [OK, CONDITION_FAILED] : [OK, CONDITION_FAILED, NOT_FOUND],
    );
    if (answer.status === OK) return true;
    if (answer.status === NOT_FOUND) await assertOnlyFileMissing(answer.body);
    if (!answer.isRepeated) return false;
    // The first try may have done it, and made the condition of the second one false.
    const present = await readVersioned(path);
    return present !== undefined && haveSameBytes(present.bytes, bytes);
  }

  async function listPage(folder: string, token: string | undefined): Promise<{ keys: string[]; next?: string }> {
    const query = new URLSearchParams({ 'list-type': '2', delimiter: '/', prefix: folder });
    if (token !== undefined) query.set('continuation-token', token);
    const { body } = await request({ path: `/?${query.toString()}` }, [OK]);
    const xml = new TextDecoder().decode(body);
    const keys = [...xml.matchAll(/<Contents>.*?<Key>(.*?)<\/Key>|<CommonPrefixes>.*?<Prefix>(.*?)\/<\/Prefix>/gs)];
    const next = /<NextContinuationToken>(.*?)<\/NextContinuationToken>/s.exec(xml)?.[1];
    const page = { keys: keys.map(([, file, subfolder]) => decodeXml(file ?? subfolder ?? '')) };
    return next === undefined ? page : { ...page, next: decodeXml(next) };
  }

  const store: ModelStore = {
    name,
    readVersioned,
    read: async (path) => (await readVersioned(path))?.bytes,
    async measure(path) {
      const { status, headers } = await request({ method: 'HEAD', path: objectPath(path) }, [OK, NOT_FOUND]);
      return status === NOT_FOUND ? undefined : Number(headers.get('content-length'));
    },
    async list(folder) {
      const start = folder === '' ? root : `${root}${folder}/`;
      const names: string[] = [];
      let next: string | undefined;
      do {
        const page = await listPage(start, next);
        names.push(...page.keys.map((key) => key.slice(start.length)).filter((key) => key !== ''));
        next = page.next;
      } while (next !== undefined);
      return names;
    },
    create: async (path, bytes) => (await put(path, bytes, undefined)) || compareExisting(store, path, bytes),
    swap: put,
    close: async () => undefined,
  };
  return store;
}

function decodeXml(text: string): string {
  const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replaceAll(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole);
}
