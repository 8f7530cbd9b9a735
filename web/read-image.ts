/**
 * From a chosen file to what is sent. A picture beyond the limits of the API is scaled down here, so that a photograph
 * from a telephone just works, and one of a kind that only this browser reads becomes a PNG; everything else is sent byte
 * by byte, also what is no picture: the server says why not.
 * Cropping and the resize to the model's input are the server's alone.
 */
import { API_LIMITS } from '../shared/api.ts';
import { findImageType, SIGNATURE_BYTES } from '../shared/image/signature.ts';
import { decodeInputToken } from '../shared/image/token.ts';
import { contextOf } from './element.ts';

/** Four bytes for each pixel and a little more is the longest PNG, and stays below the limit of bytes. */
const SCALED_PIXELS = 1024 * 1024;
/** No browser's canvas is shorter. */
const SCALED_SIDE = 8192;

export interface PictureToSend {
  body: Blob;
  /** The upright size of the file, where it was encoded again; undefined when it is sent as it is. */
  scaledFrom?: PictureSize;
}

export interface PictureSize {
  width: number;
  height: number;
}

/** Size to encode at, or undefined where the file is within the limits. Keeps the shape of the picture. */
export function planScaling({ width, height, bytes }: PictureSize & { bytes: number }): PictureSize | undefined {
  const pixels = width * height;
  if (pixels <= API_LIMITS.pixelsPerImage && bytes <= API_LIMITS.bytesPerImage) return undefined;
  const factor = Math.min(1, Math.sqrt(SCALED_PIXELS / pixels), SCALED_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.floor(width * factor)), height: Math.max(1, Math.floor(height * factor)) };
}

/** Throws a `PictureTooLarge` for a file beyond the limit of bytes that this browser cannot read as a picture. */
export async function preparePicture(file: Blob): Promise<PictureToSend> {
  const bitmap = await decodePicture(file);
  if (bitmap === undefined) {
    if (file.size > API_LIMITS.bytesPerImage) throw new PictureTooLarge(file.size);
    return { body: file };
  }
  try {
    const scaledFrom = { width: bitmap.width, height: bitmap.height };
    const target = planScaling({ ...scaledFrom, bytes: (await isKindOfApi(file)) ? file.size : Infinity });
    if (target === undefined) return { body: file };
    return { body: await encodeScaled(bitmap, target), scaledFrom };
  } finally {
    bitmap.close();
  }
}

async function isKindOfApi(file: Blob): Promise<boolean> {
  const start = await file.slice(0, SIGNATURE_BYTES).arrayBuffer();
  return findImageType(new Uint8Array(start)) !== undefined;
}

export class PictureTooLarge extends Error {
  override readonly name = 'PictureTooLarge';

  constructor(bytes: number) {
    const megabytes = (count: number): string => `${(count / 1024 / 1024).toFixed(1)} MiB`;
    super(
      `It has ${megabytes(bytes)}, at most ${megabytes(API_LIMITS.bytesPerImage)} can be sent, and this browser cannot ` +
        'read it as a picture to scale it down. Choose a PNG, JPEG or WebP file.',
    );
  }
}

/** Upright: browsers follow the EXIF orientation here. */
async function decodePicture(file: Blob): Promise<ImageBitmap | undefined> {
  try {
    return await createImageBitmap(file);
  } catch (error) {
    // Any file may be dropped here; the browser says InvalidStateError or EncodingError to what is no picture.
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}

function encodeScaled(bitmap: ImageBitmap, { width, height }: PictureSize): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = contextOf(canvas);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  return encodePng(canvas);
}

/** What the model saw: the pixels in a token of `/classify`, for a model input of `shape` [height, width, 3]. */
export async function readInputPixels(token: string, shape: readonly number[]): Promise<ImageData> {
  const [height, width] = shape;
  if (height === undefined || width === undefined || shape[2] !== 3) {
    throw new Error(`internal: a model input of shape [${shape.join(', ')}] is no colour picture`);
  }
  const pixels = await decodeInputToken(token, height * width * 3);
  const image = new ImageData(width, height);
  for (let place = 0; place < height * width; place++) {
    image.data.set(pixels.subarray(place * 3, place * 3 + 3), place * 4);
    image.data[place * 4 + 3] = 255;
  }
  return image;
}

/** Lossless, so that a picture of the model's size comes through the API unchanged. */
export function encodePixels(image: ImageData): Promise<Blob> {
  const canvas = document.createElement('canvas');
  canvas.width = image.width;
  canvas.height = image.height;
  contextOf(canvas).putImageData(image, 0, 0);
  return encodePng(canvas);
}

function encodePng(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) reject(new Error('internal: this browser cannot encode a PNG'));
      else resolve(blob);
    }, 'image/png');
  });
}
