/** Requests that are wrong in one way each: an HTTP error of the caller whose body is `{"error": string}`. */
import { given, NotApplicable, type OipCase } from './oip-case.ts';
import * as oip from './oip-target.ts';
import { rangeOf } from './tensor-values.ts';

const ERROR_OBJECT = 'Inference Response JSON Error Object';
const REQUEST_INPUT = 'Request Input';
const TENSOR_DATA = 'Tensor Data';

type Level = OipCase['level'];
/** A good request, to be spoilt. */
type Spoil = (request: oip.Request, input: oip.RequestInput, target: oip.OipTarget) => unknown;

/** `spoil` changes the request in place, or returns what to send instead. */
function refused(name: string, section: string, level: Level, spoil: Spoil): OipCase {
  return {
    name: `${name} is refused`,
    section,
    level,
    async run(target) {
      const request: oip.Request = { inputs: oip.makeInputs(target) };
      const [input] = request.inputs;
      if (input === undefined) throw new NotApplicable('the model has no inputs');
      const other = spoil(request, input, target);
      await oip.readRefusal(await oip.postJson(target, other ?? request));
    },
  };
}

function refusedText(name: string, body: string | Uint8Array<ArrayBuffer>): OipCase {
  return {
    name: `${name} is refused`,
    section: ERROR_OBJECT,
    level: 'must',
    run: async (target) => void (await oip.readRefusal(await oip.postText(target, body))),
  };
}

/** The value at one place of the first input's data is another one. */
function refusedValue(name: string, level: Level, makeValue: (datatype: string) => unknown): OipCase {
  return refused(name, TENSOR_DATA, level, (_request, input) => {
    const data = dataOf(input);
    data[Math.floor(data.length / 2)] = makeValue(String(input['datatype']));
  });
}

function dataOf(input: oip.RequestInput): unknown[] {
  return input['data'] as unknown[];
}

function shapeOf(input: oip.RequestInput): number[] {
  return input['shape'] as number[];
}

function rangeOrSkip(datatype: string): { min: number; max: number } {
  const range = rangeOf(datatype);
  given(range !== undefined, `${datatype} is no integer that JSON carries`);
  return range;
}

function nestDeeply(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

export const REFUSAL_CASES: readonly OipCase[] = [
  refusedText('half a JSON', '{"inputs":['),
  refusedText('an empty body', ''),
  refusedText('text', 'hello'),
  refusedText(
    'a NaN, which JSON does not have,',
    '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[NaN]}]}',
  ),
  refusedText('JSON with more behind it', '{"inputs":[]} {"inputs":[]}'),
  refusedText('JSON that is not UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])),
  ...['[]', '1', 'null', '"inputs"', 'true'].map((text) => refusedText(`the body ${text}`, text)),
  refusedText('a body of 10,000 lists in each other', nestDeeply(10_000)),
  refused('a request without inputs', 'Inference Request JSON Object', 'must', () => ({})),
  refused('an empty list of inputs', 'Inference Request JSON Object', 'must', () => ({ inputs: [] })),
  refused('inputs that are an object', 'Inference Request JSON Object', 'must', () => ({ inputs: {} })),
  refused('an input that is a number', REQUEST_INPUT, 'must', () => ({ inputs: [1] })),
  ...['name', 'shape', 'datatype', 'data'].map((field) =>
    refused(`an input without ${field}`, REQUEST_INPUT, 'must', (_request, input) => void delete input[field]),
  ),
  refused('an unknown input', REQUEST_INPUT, 'must', (_request, input) => void (input.name = 'nobody')),
  refused('the same input twice', REQUEST_INPUT, 'should', (request, input) => void request.inputs.push(input)),
  refused('an id that is a number', 'Inference Request JSON Object', 'should', (request) => ({ ...request, id: 42 })),
  refused('parameters that are a list', 'Parameters', 'should', (request) => ({ ...request, parameters: [] })),
  refused('a parameter that is an object', 'Parameters', 'should', (request) => ({
    ...request,
    parameters: { a: {} },
  })),
  refused('an unknown output', 'Request Output', 'must', (request) => ({ ...request, outputs: [{ name: 'nobody' }] })),
  refused('an output without a name', 'Request Output', 'must', (request) => ({ ...request, outputs: [{}] })),
  refused('outputs that are a string', 'Request Output', 'should', (request) => ({ ...request, outputs: 'all' })),
  refused('the same output twice', 'Request Output', 'should', (request, _input, { metadata }) => {
    const [output] = metadata.outputs;
    return { ...request, outputs: [{ name: output?.name }, { name: output?.name }] };
  }),
  refused('a datatype that does not exist', 'Tensor Data Types', 'must', (_request, input) => {
    input['datatype'] = 'UINT7';
  }),
  refused('another datatype than the model’s', 'Tensor Data Types', 'must', (_request, input) => {
    input['datatype'] = input['datatype'] === 'FP64' ? 'INT16' : 'FP64';
  }),
  refused('one value too few', TENSOR_DATA, 'must', (_request, input) => void dataOf(input).pop()),
  refused('one value too many', TENSOR_DATA, 'must', (_request, input) => {
    dataOf(input).push(dataOf(input)[0]);
  }),
  refused('no value at all', TENSOR_DATA, 'must', (_request, input) => void (input['data'] = [])),
  refused('data that is no list', TENSOR_DATA, 'must', (_request, input) => void (input['data'] = 'AAAA')),
  refused('data nested 101 deep', TENSOR_DATA, 'must', (_request, input) => {
    input['data'] = JSON.parse(nestDeeply(101)) as unknown;
  }),
  refused('a ragged list', TENSOR_DATA, 'must', (_request, input) => {
    const [first, second, ...rest] = dataOf(input);
    input['data'] = [[first, second], rest];
  }),
  refusedValue('a list in place of a value', 'must', () => [1]),
  refusedValue('an object in place of a value', 'must', () => ({})),
  refusedValue('null in place of a value', 'must', () => null),
  refused('a string in place of a number', TENSOR_DATA, 'should', (_request, input) => {
    given(input['datatype'] !== 'BYTES', 'the input takes strings');
    dataOf(input)[0] = '7';
  }),
  refused('true in place of a number', TENSOR_DATA, 'should', (_request, input) => {
    given(input['datatype'] !== 'BOOL', 'the input takes booleans');
    dataOf(input)[0] = true;
  }),
  refusedValue('a value above the datatype’s greatest', 'should', (datatype) => rangeOrSkip(datatype).max + 1),
  refusedValue('a value far above it (300 for UINT8)', 'should', (datatype) => rangeOrSkip(datatype).max + 45),
  refusedValue('a value below the datatype’s least', 'should', (datatype) => rangeOrSkip(datatype).min - 1),
  refusedValue('a fraction in an integer tensor', 'should', (datatype) => rangeOrSkip(datatype).min + 1.5),
  refusedValue('1e300 in an integer tensor', 'should', (datatype) => (rangeOrSkip(datatype), 1e300)),
  refused('a shape with one axis too many', REQUEST_INPUT, 'must', (_request, input) => void shapeOf(input).push(1)),
  refused('a negative size', REQUEST_INPUT, 'must', (_request, input) => void (shapeOf(input)[0] = -1)),
  refused('a size that is a fraction', REQUEST_INPUT, 'must', (_request, input) => void (shapeOf(input)[0] = 1.5)),
  refused('a size that is a string', REQUEST_INPUT, 'must', (_request, input) => {
    input['shape'] = shapeOf(input).map(String);
  }),
  refused('a shape that is a number', REQUEST_INPUT, 'must', (_request, input) => void (input['shape'] = 1)),
  refused('a size of zero with values', REQUEST_INPUT, 'must', (_request, input) => void (shapeOf(input)[0] = 0)),
  refused('a size of 2^60', REQUEST_INPUT, 'must', (_request, input) => void (shapeOf(input)[0] = 2 ** 60)),
  refused('sizes whose product overflows', REQUEST_INPUT, 'must', (_request, input) => {
    // 2^32 * 2^32 is 0 in 64 bits.
    input['shape'] = shapeOf(input).map((size, axis) => (axis < 2 ? 2 ** 32 : size));
  }),
  {
    name: 'FP16 in JSON is refused',
    section: 'Tensor Data',
    level: 'should',
    async run(target) {
      given(
        target.metadata.inputs.some(({ datatype }) => datatype === 'FP16'),
        'the model takes no FP16',
      );
      await oip.readRefusal(await oip.postJson(target, { inputs: oip.makeInputs(target) }));
    },
  },
  {
    name: 'a request that lacks one of several inputs is refused',
    section: 'Inference Request JSON Object',
    level: 'must',
    async run(target) {
      given(target.metadata.inputs.length > 1, 'the model has one input');
      await oip.readRefusal(await oip.postJson(target, { inputs: oip.makeInputs(target).slice(1) }));
    },
  },
  {
    name: 'a content encoding that nobody knows is refused',
    section: 'HTTP/REST',
    level: 'should',
    async run(target) {
      const headers = { 'content-type': 'application/json', 'content-encoding': 'x-unknown' };
      const body = JSON.stringify({ inputs: oip.makeInputs(target) });
      await oip.readRefusal(await target.send(oip.inferPath(target), { method: 'POST', headers, body }));
    },
  },
  {
    name: 'a gzip body is read, or refused for its encoding',
    section: 'HTTP/REST',
    level: 'should',
    async run(target) {
      const request = JSON.stringify({ inputs: oip.makeInputs(target) });
      const response = await sendPacked(target, await pack(new Blob([request])));
      if (response.status === 415 || response.status === 501) return void (await response.text());
      await oip.readAnswer(response);
    },
  },
  {
    name: 'a gzip bomb (80 MB of spaces) is refused',
    section: 'HTTP/REST',
    level: 'should',
    async run(target) {
      bomb ??= packSpaces(80);
      const response = await sendPacked(target, await bomb);
      if (response.status === 501) return void (await response.text());
      await oip.readRefusal(response);
    },
  },
];

/** More than any server should take (Triton stops at 64 MiB); made once. */
let bomb: Promise<ArrayBuffer> | undefined;

function packSpaces(megabytes: number): Promise<ArrayBuffer> {
  const spaces = new Blob([' '.repeat(1024 * 1024)]);
  return pack(new Blob(Array.from({ length: megabytes }, () => spaces)));
}

function pack(content: Blob): Promise<ArrayBuffer> {
  return new Response(content.stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer();
}

function sendPacked(target: oip.OipTarget, body: ArrayBuffer): Promise<Response> {
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  return target.send(oip.inferPath(target), { method: 'POST', headers, body });
}
