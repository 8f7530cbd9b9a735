/** Triton's binary tensor data extension, in both directions, for servers that announce it. */
import { demand, given, show, type OipCase } from './oip-case.ts';
import * as oip from './oip-target.ts';
import { countOf } from './tensor-values.ts';

const EXTENSION = 'binary_tensor_data';
const SECTION = 'Binary Tensor Data Extension';

function binary(name: string, run: OipCase['run'], level: OipCase['level'] = 'must'): OipCase {
  return {
    name,
    section: SECTION,
    level,
    async run(target) {
      given(target.extensions.includes(EXTENSION), `the server does not announce ${EXTENSION}`);
      await run(target);
    },
  };
}

/** A good binary request whose first input, tail or header length is spoilt. */
interface Message {
  inputs: oip.RequestInput[];
  tail: Uint8Array<ArrayBuffer>;
  headerLength?: string;
}

function refused(name: string, spoil: (message: Message, input: oip.RequestInput) => void): OipCase {
  return binary(`${name} is refused`, async (target) => {
    const message: Message = oip.makeBinaryInputs(target);
    const [input] = message.inputs;
    given(input !== undefined, 'the model has no inputs');
    spoil(message, input);
    const { inputs, tail, headerLength } = message;
    await oip.readRefusal(await oip.postBinary(target, { inputs }, tail, headerLength));
  });
}

function setSize(input: oip.RequestInput, change: (size: number) => unknown): void {
  const { binary_data_size: size } = input['parameters'] as { binary_data_size: number };
  input['parameters'] = { binary_data_size: change(size) };
}

/** The JSON of a request that `spoil` has not changed. */
function jsonBytes(message: Message): number {
  return JSON.stringify({ inputs: message.inputs }).length;
}

export const BINARY_CASES: readonly OipCase[] = [
  binary('a binary input gives what the same values in JSON give', async (target) => {
    oip.demandSameValues(await inferBinary(target, {}), await inferJson(target, {}));
  }),
  binary('outputs come as bytes when binary_data_output asks for all of them', async (target) => {
    const answer = await inferJson(target, { parameters: { binary_data_output: true } });
    demand(
      answer.outputs.every(({ isBinary }) => isBinary),
      'an output came as JSON',
    );
    oip.demandSameValues(answer, await inferJson(target, {}));
  }),
  binary('binary input and binary output go together', async (target) => {
    const answer = await inferBinary(target, { parameters: { binary_data_output: true } });
    demand(
      answer.outputs.every(({ isBinary }) => isBinary),
      'an output came as JSON',
    );
    oip.demandSameValues(answer, await inferJson(target, {}));
  }),
  ...[true, false].flatMap((forAll) =>
    [true, false].map((forOne) =>
      binary(`binary_data ${forOne} of an output goes before binary_data_output ${forAll}`, async (target) => {
        const [output] = target.metadata.outputs;
        const outputs = [{ name: output?.name, parameters: { binary_data: forOne } }];
        const answer = await inferJson(target, { parameters: { binary_data_output: forAll }, outputs });
        const isBinary = answer.outputs[0]?.isBinary;
        demand(isBinary === forOne, `the output came ${isBinary === true ? 'as bytes' : 'as JSON'}`);
      }),
    ),
  ),
  binary('one output as bytes and one as JSON come in one answer', async (target) => {
    const [first, second] = target.metadata.outputs;
    given(first !== undefined && second !== undefined, 'the model has one output');
    const outputs = [{ name: first.name }, { name: second.name, parameters: { binary_data: true } }];
    const answer = await inferJson(target, { outputs });
    const kinds = answer.outputs.map(({ name, isBinary }) => [name, isBinary]);
    demand(
      show(kinds) ===
        show([
          [first.name, false],
          [second.name, true],
        ]),
      `got ${show(kinds)}`,
    );
    const all = await inferJson(target, {});
    oip.demandSameValues(answer, { ...all, outputs: all.outputs.filter(({ name }) => name === first.name) });
    oip.demandSameValues(answer, { ...all, outputs: all.outputs.filter(({ name }) => name === second.name) });
  }),
  binary('the id of a binary request comes back', async (target) => {
    const { id } = await inferBinary(target, { id: 'größe' });
    demand(id === 'größe', `id is ${show(id)}`);
  }),
  binary('a request of nothing but the tensor’s bytes is answered with bytes', async (target) => {
    const [input, ...others] = target.metadata.inputs;
    const isRaw = input !== undefined && others.length === 0 && input.datatype !== 'BYTES';
    given(isRaw && input.shape.filter((size) => size === -1).length <= 1, 'the model’s inputs do not allow it');
    const { tail } = oip.makeBinaryInputs(target);
    const headers = { 'content-type': 'application/octet-stream', [oip.HEADER_LENGTH]: '0' };
    const answer = await oip.readAnswer(
      await target.send(oip.inferPath(target), { method: 'POST', headers, body: tail }),
    );
    demand(
      answer.outputs.every(({ isBinary }) => isBinary),
      'an output came as JSON',
    );
    oip.demandSameValues(answer, await inferJson(target, {}));
  }),
  ...['-1', 'abc', '1e2', '99999999999', '18446744073709551617'].map((headerLength) =>
    refused(`Inference-Header-Content-Length ${headerLength}`, (message) => void (message.headerLength = headerLength)),
  ),
  refused('a header length of one byte too few', (message) => {
    message.headerLength = String(jsonBytes(message) - 1);
  }),
  refused('a header length of one byte too many', (message) => {
    message.headerLength = String(jsonBytes(message) + 1);
  }),
  refused('a header length above the whole body', (message) => {
    message.headerLength = String(jsonBytes(message) + message.tail.length + 1);
  }),
  refused('a body that ends one byte too early', (message) => void (message.tail = message.tail.slice(0, -1))),
  refused('a body that goes on for one byte', (message) => {
    message.tail = oip.join([message.tail, new Uint8Array(1)]);
  }),
  refused('a binary_data_size that is too small', (_message, input) => setSize(input, (size) => size - 1)),
  refused('a binary_data_size that is too great', (_message, input) => setSize(input, (size) => size + 1)),
  refused('a binary_data_size below zero', (_message, input) => setSize(input, () => -1)),
  refused('a binary_data_size that is a fraction', (_message, input) => setSize(input, (size) => size + 0.5)),
  refused('a binary_data_size that is a string', (_message, input) => setSize(input, String)),
  refused('a shape that the bytes do not fill', (_message, input) => {
    const shape = input['shape'] as number[];
    shape[0] = (shape[0] ?? 1) + 1;
  }),
  refused('an input with bytes and with data', (_message, input) => {
    input['data'] = Array.from({ length: countOf(input['shape'] as number[]) }, () => 0);
  }),
  binary(
    'a binary_data that is no boolean is refused',
    async (target) => {
      const [output] = target.metadata.outputs;
      const outputs = [{ name: output?.name, parameters: { binary_data: 'yes' } }];
      await oip.readRefusal(await oip.postJson(target, { inputs: oip.makeInputs(target), outputs }));
    },
    'should',
  ),
];

async function inferJson(target: oip.OipTarget, changes: object): Promise<oip.Answer> {
  return oip.readAnswer(await oip.postJson(target, { inputs: oip.makeInputs(target), ...changes }));
}

async function inferBinary(target: oip.OipTarget, changes: object): Promise<oip.Answer> {
  const { inputs, tail } = oip.makeBinaryInputs(target);
  return oip.readAnswer(await oip.postBinary(target, { inputs, ...changes }, tail));
}
