/** The image contract inside workerd, where the decoders are compiled with the Worker, and through the Worker itself. */
import { exports } from 'cloudflare:workers';
import jpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import webp from '@jsquash/webp/codec/dec/webp_dec.wasm';

import { describeImage } from './image.ts';
import { describeDamagedUploads } from './image-damage.ts';
import { createLocalPlatform } from './image-platform.ts';
import { describePhonePicture, describeTableUploads, uploadTo } from './image-uploads.ts';
import type { Send } from './api-client.ts';

const send: Send = (path, init) => exports.default.fetch(new Request(`https://worker.test${path}`, init));

describeImage('workerd', async () => createLocalPlatform({ jpeg, webp }));
describeTableUploads('workerd', send);
describeDamagedUploads('workerd', { upload: (file) => uploadTo(send, file), count: 22 });
describePhonePicture('workerd', send);
