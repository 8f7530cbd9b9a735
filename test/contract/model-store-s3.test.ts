/** The contract of model stores on a real S3 server, and what its refusals are called. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openS3Store } from '../../serve/store/s3-store.ts';
import type { S3StoreOptions } from '../../serve/store/s3-store.ts';
import { describeWithVersitygw } from '../support/requirements.ts';
import { startS3Server, type S3Server } from '../support/s3-server.ts';
import { testModelStore } from './model-store.ts';

describeWithVersitygw('a model store behind S3', () => {
  let server: S3Server;
  let bucket = '';

  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());

  function open(changes: Partial<S3StoreOptions['location'] & S3StoreOptions['credentials']> = {}) {
    const { endpoint, region, credentials } = server;
    const { accessKeyId, secretAccessKey } = { ...credentials, ...changes };
    return openS3Store({
      name: `s3://${bucket}`,
      location: { bucket, endpoint, region, ...changes },
      prefix: 'some/folder',
      credentials: { accessKeyId, secretAccessKey },
    });
  }

  testModelStore(
    async () => {
      bucket = await server.makeBucket();
      return open();
    },
    async () => open(),
  );

  it('lists more files than one answer of the server has', async () => {
    bucket = await server.makeBucket();
    const store = open();
    const names = Array.from({ length: 1005 }, (_, index) => `${index}.json`);
    for (let start = 0; start < names.length; start += 50) {
      const batch = names.slice(start, start + 50);
      await Promise.all(batch.map((name) => store.create(`many/${name}`, new Uint8Array([1]))));
    }
    expect((await store.list('many')).toSorted()).toEqual(names.toSorted());
  });

  it('says that the credentials are refused', async () => {
    const wrongSecret = open({ secretAccessKey: 'wrong' });
    await expect(wrongSecret.read('a')).rejects.toMatchObject({ code: 'store/credentials' });
    await expect(wrongSecret.measure('a')).rejects.toMatchObject({ code: 'store/credentials' });
    await expect(open({ accessKeyId: 'nobody' }).list('')).rejects.toMatchObject({ code: 'store/credentials' });
  });

  it('says that there is no such bucket', async () => {
    const store = open({ bucket: 'nowhere' });
    await expect(store.read('a')).rejects.toMatchObject({ code: 'store/missing' });
    await expect(store.list('')).rejects.toMatchObject({ code: 'store/missing' });
    await expect(store.create('a', new Uint8Array([1]))).rejects.toMatchObject({ code: 'store/missing' });
    await expect(store.swap('a', new Uint8Array([1]), 'x')).rejects.toMatchObject({ code: 'store/missing' });
  });

  it('says that nobody answers at the endpoint, after some tries', async () => {
    await expect(open({ endpoint: 'http://127.0.0.1:9' }).read('a')).rejects.toMatchObject({
      code: 'store/unavailable',
      message: expect.stringContaining('4 tries'),
    });
  });
});
