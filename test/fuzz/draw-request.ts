/** Input number `index` of a seed: a request that is nearly right, to any route. */
import { encodeInputToken } from '../../shared/image/token.ts';
import { castDice, type Dice } from './dice.ts';
import { drawDamagedPicture, drawSoundPicture } from './mutate-image.ts';
import { drawBytes, drawTrouble, joinBytes, mutateBytes, mutateText, type Bytes } from './mutate-bytes.ts';
import { mutateJson, type Json } from './mutate-json.ts';

export interface FuzzRequest {
  /** What was made wrong. */
  kind: string;
  method: string;
  /** With its query. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body: Bytes | undefined;
}

/** Of the fuzzed models' input: height, width, channels. */
const SHAPE = [8, 8, 3];
const PIXELS = 192;
const TOKENS = await Promise.all(
  [1, 2, 3].map((seed) => encodeInputToken(drawBytes(castDice(seed, 0), seed === 3 ? 48 : PIXELS))),
);

/** How many of each hundred. */
const KINDS: readonly { share: number; kind: string; draw: (dice: Dice) => Omit<FuzzRequest, 'kind'> }[] = [
  { share: 40, kind: 'picture', draw: drawPicture },
  { share: 10, kind: 'form', draw: drawForm },
  { share: 9, kind: 'token', draw: drawToken },
  { share: 8, kind: 'picture in JSON', draw: drawPictureJson },
  { share: 8, kind: 'inference in JSON', draw: drawInference },
  { share: 7, kind: 'inference in bytes', draw: drawBinaryInference },
  { share: 10, kind: 'labelled pictures', draw: drawEvaluation },
  { share: 8, kind: 'address', draw: drawAddress },
];

export function drawRequest(seed: number, index: number): FuzzRequest {
  const dice = castDice(seed, index);
  let left = dice.below(KINDS.reduce((sum, { share }) => sum + share, 0));
  for (const { share, kind, draw } of KINDS) {
    if (left < share) return { kind, ...draw(dice) };
    left -= share;
  }
  throw new Error('internal: shares that do not add up');
}

function toBytes(text: string): Bytes {
  return new TextEncoder().encode(text);
}

function drawPicture(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const path = dice.pick(['/classify', '/classify', '/classify', '/activations/layer1', '/explain']);
  const type = dice.pick(['application/octet-stream', 'image/png', 'application/x-www-form-urlencoded', 'a/b; c=d']);
  return { method: 'POST', path, headers: { 'content-type': type }, body: drawDamagedPicture(dice) };
}

function drawForm(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const { body, type } = writeForm(
    dice,
    Array.from({ length: 1 + dice.below(4) }, () => drawPart(dice)),
  );
  return {
    method: 'POST',
    path: dice.pick(['/classify', '/classify', '/explain']),
    headers: { 'content-type': type },
    body,
  };
}

function drawPart(dice: Dice): { head: string; content: Bytes } {
  const head = dice.pick([
    'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png',
    'Content-Disposition: form-data; name="file"; filename="a.png"',
    'Content-Disposition: form-data; name="labels"',
    'Content-Disposition: form-data; name=""; filename=""',
    "Content-Disposition: form-data; name=file; filename*=UTF-8''%e2%82%ac.png",
    'Content-Type: image/png',
  ]);
  const content = dice.onceIn(3) ? drawSoundPicture(dice) : drawDamagedPicture(dice);
  return { head: dice.onceIn(5) ? mutateText(head, dice) : head, content };
}

/** Parts and boundary mostly fit each other. */
function writeForm(dice: Dice, parts: readonly { head: string; content: Bytes }[]): { body: Bytes; type: string } {
  const boundary = dice.pick(['b', 'x'.repeat(70), "'()+_,-./:=?", '----formdata-0123']);
  const end = dice.onceIn(8) ? drawTrouble(dice) : '--\r\n';
  const whole = joinBytes([
    ...parts.flatMap(({ head, content }) => [toBytes(`--${boundary}\r\n${head}\r\n\r\n`), content, toBytes('\r\n')]),
    toBytes(`--${boundary}${end}`),
  ]);
  const announced = dice.onceIn(8) ? toHeader(mutateText(boundary, dice)) : boundary;
  const type = dice.pick([
    `multipart/form-data; boundary="${announced}"`,
    `multipart/form-data; boundary=${announced}`,
    `multipart/form-data; boundary="${announced}"`,
    dice.onceIn(6) ? 'multipart/form-data' : `Multipart/Form-Data;charset=utf-8; boundary="${announced}"`,
  ]);
  return { body: dice.onceIn(5) ? mutateBytes(whole, dice, () => whole) : whole, type };
}

function drawToken(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const token = dice.pick(TOKENS);
  const packed = Buffer.from(token.slice(1), 'base64url');
  const changed = dice.pick([
    () => mutateText(token, dice),
    () =>
      `1${Buffer.from(mutateBytes(Uint8Array.from(packed), dice, () => drawBytes(dice, 20))).toString('base64url')}`,
    () => token.slice(0, dice.below(token.length)),
    () => token.repeat(dice.pick([2, 100])),
    () => `${token}${'='.repeat(dice.below(3))}`,
    () => dice.pick(['', '1', '2', `2${token.slice(1)}`, token]),
  ])();
  const path = dice.pick(['/activations/layer1', '/activations/probs', '/explain']);
  return {
    method: 'GET',
    path: `${path}?input=${encodeURIComponent(wellFormed(changed))}`,
    headers: {},
    body: undefined,
  };
}

function drawPictureJson(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const image = Buffer.from(dice.onceIn(2) ? drawSoundPicture(dice) : drawDamagedPicture(dice)).toString('base64');
  const value = { image: dice.onceIn(4) ? `data:image/png;base64,${image}` : image };
  const text = dice.onceIn(3) ? JSON.stringify(value) : mutateJson(value, dice);
  return postJson(dice, '/classify/json', text);
}

function postJson(dice: Dice, path: string, text: string): Omit<FuzzRequest, 'kind'> {
  const type = dice.onceIn(20) ? dice.pick(['text/plain', 'application/json;charset=latin1', '']) : 'application/json';
  const body = toBytes(text);
  // Also what is no UTF-8.
  const changed = dice.onceIn(12) ? mutateBytes(body, dice, () => body) : body;
  return { method: 'POST', path, headers: { 'content-type': type }, body: changed };
}

function drawInferPath(dice: Dice): string {
  const version = dice.onceIn(3) ? `/versions/${dice.pick(['0', 'champion', 'previous', '1', '9', '-1'])}` : '';
  return `/v2/models/resnet18${version}/infer`;
}

function drawInferenceJson(dice: Dice, content: { [name: string]: Json }, batch: number): { [name: string]: Json } {
  const outputs = ['logits', 'probs', 'layer1', 'layer4', 'input', 'nobody'].map((name) => ({
    name,
    ...(dice.onceIn(2) ? { parameters: { binary_data: dice.onceIn(2) } } : {}),
  }));
  return {
    id: 'a',
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [batch, ...SHAPE], ...content }],
    ...(dice.onceIn(3) ? { parameters: { binary_data_output: dice.onceIn(2) } } : {}),
    ...(dice.onceIn(2) ? { outputs: outputs.filter(({ name }) => dice.onceIn(name === 'nobody' ? 20 : 2)) } : {}),
  };
}

function drawInference(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const message = drawInferenceJson(dice, { data: [...drawBytes(dice, PIXELS)] }, 1);
  const text = dice.onceIn(8) ? JSON.stringify(message) : mutateJson(message, dice);
  return postJson(dice, dice.onceIn(10) ? '/v2/repository/index' : drawInferPath(dice), text);
}

/** A JSON header and tensors, a length that says where the first ends. */
function drawBinaryInference(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const batch = 1 + dice.below(3);
  const message = drawInferenceJson(dice, { parameters: { binary_data_size: PIXELS * batch } }, batch);
  const json = toBytes(dice.onceIn(3) ? mutateJson(message, dice) : JSON.stringify(message));
  const isRaw = dice.onceIn(4);
  const tensor = drawBytes(dice, PIXELS * batch + dice.pick([0, 0, 0, -1, 1, 192, 10_000]));
  const whole = isRaw ? tensor : joinBytes([json, tensor]);
  const body = dice.onceIn(4) ? mutateBytes(whole, dice, () => whole) : whole;
  const length = String(isRaw ? 0 : json.length + dice.pick([0, 0, 0, 0, -1, 1, -1e6, 1e6]));
  const announced = dice.onceIn(8) ? toHeader(mutateText(length, dice)) : length;
  const encoding = dice.onceIn(10) ? dice.pick(['gzip', 'deflate', 'br', 'identity', 'gzip, deflate']) : undefined;
  return {
    method: 'POST',
    path: drawInferPath(dice),
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': announced,
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
    },
    body,
  };
}

function drawEvaluation(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const accept = dice.pick(['*/*', 'application/x-ndjson', 'text/event-stream', 'application/json', drawHeader(dice)]);
  const count = 1 + dice.below(12);
  const { body, type } = dice.pick([
    () => {
      const records = Array.from({ length: count }, () =>
        joinBytes([new Uint8Array([dice.below(dice.onceIn(9) ? 256 : 10)]), drawBytes(dice, PIXELS)]),
      );
      const whole = joinBytes(records);
      const changed = dice.onceIn(2) ? mutateBytes(whole, dice, () => whole) : whole;
      return { body: changed, type: 'application/octet-stream' };
    },
    () => {
      const lines = Array.from({ length: count }, () => {
        const picture = dice.onceIn(4) ? drawDamagedPicture(dice) : drawSoundPicture(dice);
        const label = dice.pick<Json>(['class 1', 2, '3', 'cat', -1, 1.5, null]);
        const line: Json = { image: Buffer.from(picture).toString('base64'), label };
        return dice.onceIn(6) ? mutateJson(line, dice) : JSON.stringify(line);
      });
      const whole = toBytes(lines.join(dice.pick(['\n', '\r\n', '\n\n', '\r'])));
      return { body: dice.onceIn(6) ? mutateBytes(whole, dice, () => whole) : whole, type: 'application/x-ndjson' };
    },
    () => {
      const files = Array.from({ length: 1 + dice.below(3) }, () => ({
        head: `Content-Disposition: form-data; name="file"; filename="${dice.pick(['class 1', 'class 2/', '3'])}-a.png"`,
        content: dice.onceIn(3) ? drawDamagedPicture(dice) : drawSoundPicture(dice),
      }));
      const labels = { head: 'Content-Disposition: form-data; name="labels"', content: toBytes(drawLabels(dice)) };
      return writeForm(dice, dice.onceIn(2) ? [...files, labels] : files);
    },
  ])();
  return { method: 'POST', path: '/evaluate', headers: { 'content-type': type, accept }, body };
}

function drawLabels(dice: Dice): string {
  const labels = Array.from({ length: 1 + dice.below(4) }, () => dice.pick(['class 1', '2', '10', '', 'cat'])).join(
    ',',
  );
  return dice.onceIn(3) ? mutateText(labels, dice) : labels;
}

const PATHS = [
  ...['/activations', '/activations/layer1', '/activations/probs', '/explain', '/evaluation', '/samples', '/docs', '/'],
  ...[
    '/models',
    '/models/history',
    '/models/champion',
    '/models/previous/evaluation',
    '/models/champion/compare/previous',
  ],
  ...['/healthz', '/readyz', '/openapi.json', '/v2', '/v2/health/ready', '/v2/models', '/v2/models/resnet18/ready'],
  ...[
    '/v2/models/resnet18/versions/0',
    '/samples/cat-ginger.png',
    '/assets/',
    '/favicon.svg',
    '/classify',
    '/evaluate',
  ],
];

const QUERIES: Readonly<Record<string, readonly string[]>> = {
  format: ['json', 'png', 'npy', 'atlas', 'list'],
  channels: ['0', '0-3', '3,1', '9-1', '0-99999999999', ','],
  top: ['1', '3', '0', '999999'],
  values: ['true', 'false'],
  range: ['layer', 'channel'],
  scale: ['1', '16', '17'],
  model: ['champion', 'previous', 'shipped', 'deadbeef', 'resnet18'],
  channel: ['resnet18', 'other', '../x'],
  sample: ['cat-ginger', 'nobody'],
  class: ['class 1', '3', 'cat', '-1'],
  method: ['cam', 'occlusion', 'x'],
  patch: ['1', '2', '8', '9999'],
  stride: ['1', '4', '0'],
  top_k: ['1', '10', '11'],
  input: TOKENS,
};

function drawAddress(dice: Dice): Omit<FuzzRequest, 'kind'> {
  const names = Object.keys(QUERIES);
  const pairs = Array.from({ length: dice.below(4) }, () => {
    const name = dice.pick(names);
    const value = dice.pick(QUERIES[name] ?? []);
    const changed = dice.onceIn(3) ? mutateText(value, dice) : value;
    return `${name}=${dice.onceIn(4) ? toAddress(changed) : encodeURIComponent(wellFormed(changed))}`;
  });
  const whole = dice.pick(PATHS);
  const path = dice.onceIn(3) ? `/${toAddress(mutateText(whole, dice)).replace(/^\/+/, '')}` : whole;
  const query = dice.onceIn(6) ? toAddress(mutateText(pairs.join('&'), dice)) : pairs.join('&');
  const headers: Record<string, string> = {};
  for (let left = dice.below(3); left > 0; left--) {
    headers[dice.pick(['accept', 'if-none-match', 'content-type', 'range', 'origin', 'if-modified-since'])] =
      drawHeader(dice);
  }
  const method = dice.onceIn(4) ? dice.pick(['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'QUERY']) : 'GET';
  const hasBody = !['GET', 'HEAD'].includes(method) && dice.onceIn(2);
  return {
    method,
    path: query === '' ? path : `${path}?${query}`,
    headers,
    body: hasBody ? drawBytes(dice, 20) : undefined,
  };
}

function drawHeader(dice: Dice): string {
  const usual = [
    'image/png',
    'application/json;q=0',
    '*/*;q=0.1, text/html',
    'W/"a"',
    '*',
    '"a", "b"',
    'bytes=0-10',
    'null',
  ];
  return toHeader(mutateText(dice.pick(usual), dice));
}

/** What a client can put into a header: no line breaks, nothing outside Latin-1. */
function toHeader(text: string): string {
  return text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '').trim();
}

/** What a client can put into an address: an address parser must take it, and drops what follows `#`. */
function toAddress(text: string): string {
  return wellFormed(text).replaceAll(/[\s#]/g, '');
}

function wellFormed(text: string): string {
  return text.toWellFormed();
}
