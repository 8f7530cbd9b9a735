/** From what a caller names or sends (a picture, a token, a sample) to what the model sees, with its fingerprint. */
import type { ImageDecoder } from '../../shared/image/decode.ts';
import { fitToSquare } from '../../shared/image/fit.ts';
import { decodeInputToken } from '../../shared/image/token.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { sizeOf } from '../../shared/resnet.ts';
import { sha256Hex } from '../sha256.ts';

export interface ModelInput {
  /** [height, width, channels] uint8, as the model takes them before normalisation */
  pixels: Uint8Array<ArrayBuffer>;
  /** of the pixels */
  sha256: string;
}

export interface PictureInput extends ModelInput {
  /** Size of the picture that was sent, upright. */
  width: number;
  height: number;
}

/** Errors: those of the decoder, 'image/...'. */
export async function preparePicture(
  bytes: Uint8Array,
  { decoder, manifest }: { decoder: ImageDecoder; manifest: ModelManifest },
): Promise<PictureInput> {
  const size = manifest.architecture.inputShape[0];
  const { pixels, ...picture } = await decoder.use(bytes, (image) => {
    const fitted = fitToSquare(image, size);
    // One that has the size already is passed on as it is, in memory that is not ours.
    return { pixels: fitted === image.pixels ? fitted.slice() : fitted, width: image.width, height: image.height };
  });
  return { pixels, sha256: await sha256Hex(pixels), ...picture };
}

/** Errors: 'token/invalid'. */
export async function prepareToken(token: string, manifest: ModelManifest): Promise<ModelInput> {
  const pixels = await decodeInputToken(token, sizeOf(manifest.architecture.inputShape));
  return { pixels, sha256: await sha256Hex(pixels) };
}
