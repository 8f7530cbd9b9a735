/** Good requests in JSON and what their answers hold. */
import { demand, given, show, type OipCase } from './oip-case.ts';
import * as oip from './oip-target.ts';
import { nest, rangeOf } from './tensor-values.ts';

export const INFERENCE_CASES: readonly OipCase[] = [
  {
    name: 'a request without outputs is answered with all outputs of the metadata, as they are described there',
    section: 'Inference Request JSON Object',
    level: 'must',
    async run(target) {
      const answer = await infer(target, {});
      demand(answer.modelName === target.model, `model_name is ${show(answer.modelName)}`);
      for (const { name, datatype, shape } of target.metadata.outputs) {
        const output = answer.outputs.find((each) => each.name === name);
        demand(output !== undefined, `output "${name}" is missing`);
        demand(output.datatype === datatype, `output "${name}" is ${output.datatype}`);
        const fits =
          output.shape.length === shape.length &&
          shape.every((size, axis) => size === -1 || size === output.shape[axis]);
        demand(fits, `output "${name}" has shape ${show(output.shape)}, the metadata says ${show(shape)}`);
      }
    },
  },
  ...['42', '', 'größe 数 \u{1f600}', ' a\n"b"\\ '].map((id): OipCase => ({
    name: `the id ${JSON.stringify(id)} comes back as it was`,
    section: 'Inference Response JSON Object',
    level: 'must',
    async run(target) {
      const answer = await infer(target, { id });
      demand(answer.id === id, `id is ${show(answer.id)}`);
    },
  })),
  {
    name: 'model_version is a string and one of the metadata’s versions',
    section: 'Inference Response JSON Object',
    level: 'must',
    async run(target) {
      const { modelVersion } = await infer(target, {});
      const { versions = [] } = target.metadata;
      given(modelVersion !== undefined && versions.length > 0, 'the server does not say versions');
      demand(versions.includes(modelVersion), `${show(modelVersion)} is none of ${show(versions)}`);
    },
  },
  {
    name: 'the versioned path of model_version gives the same values',
    section: 'Inference',
    level: 'must',
    async run(target) {
      const expected = await infer(target, {});
      const { versions = [] } = target.metadata;
      const { modelVersion } = expected;
      given(modelVersion !== undefined && versions.length > 0, 'the server does not say versions');
      const request = { inputs: oip.makeInputs(target) };
      const answer = await oip.readAnswer(await oip.postJson(target, request, oip.inferPath(target, modelVersion)));
      demand(answer.modelVersion === modelVersion, `model_version is ${show(answer.modelVersion)}`);
      oip.demandSameValues(answer, expected);
    },
  },
  {
    name: 'nested data means the same as flat data',
    section: 'Tensor Data',
    level: 'must',
    async run(target) {
      given(
        target.metadata.inputs.some(({ shape }) => shape.length > 1),
        'no input has two axes',
      );
      const flat = oip.makeInputs(target);
      const nested = flat.map((input) => ({
        ...input,
        data: nest(input['data'] as unknown[], input['shape'] as number[]),
      }));
      oip.demandSameValues(await infer(target, { inputs: nested }), await infer(target, { inputs: flat }));
    },
  },
  {
    name: 'each output can be asked for alone',
    section: 'Request Output',
    level: 'must',
    async run(target) {
      const all = await infer(target, {});
      for (const { name } of target.metadata.outputs.slice(0, 4)) {
        const answer = await infer(target, { outputs: [{ name }] });
        demand(answer.outputs.length === 1, `got ${answer.outputs.length} outputs`);
        oip.demandSameValues(answer, { ...all, outputs: all.outputs.filter((each) => each.name === name) });
      }
    },
  },
  {
    name: 'outputs come in the order of the request',
    section: 'Request Output',
    level: 'should',
    async run(target) {
      given(target.metadata.outputs.length > 1, 'the model has one output');
      const names = target.metadata.outputs.map(({ name }) => name).toReversed();
      const answer = await infer(target, { outputs: names.map((name) => ({ name })) });
      const got = answer.outputs.map(({ name }) => name);
      demand(got.join('\n') === names.join('\n'), `asked for ${show(names)}, got ${show(got)}`);
    },
  },
  {
    name: 'parameters of all three kinds do no harm',
    section: 'Parameters',
    level: 'should',
    async run(target) {
      const parameters = { text: 'a', number: 1.5, flag: true };
      const inputs = oip.makeInputs(target).map((input) => ({ ...input, parameters }));
      oip.demandSameValues(await infer(target, { inputs, parameters }), await infer(target, {}));
    },
  },
  {
    name: 'a batch of two gives what each of them gives alone',
    section: 'Request Input',
    level: 'should',
    async run(target) {
      const { inputs, outputs } = target.metadata;
      const isBatched = [...inputs, ...outputs].every(({ shape }) => shape[0] === -1);
      given(isBatched, 'the first axis of a tensor is not variable');
      const alone = await Promise.all(
        [0, 1].map((seed) => infer(target, { inputs: oip.makeInputs(target, { seed }) })),
      );
      const batch = oip.makeInputs(target, { batch: 2 }).map((input, index) => ({
        ...input,
        data: [0, 1].flatMap((seed) => oip.makeInputs(target, { seed })[index]?.['data']),
      }));
      const [first, second] = alone;
      demand(first !== undefined && second !== undefined, 'two answers were expected');
      const together = await infer(target, { inputs: batch });
      const joined = first.outputs.map((output, index) => ({
        ...output,
        values: [...output.values, ...(second.outputs[index]?.values ?? [])],
      }));
      oip.demandSameValues(together, { ...first, outputs: joined });
    },
  },
  {
    name: 'the least and the greatest value of an integer input are taken',
    section: 'Tensor Data Types',
    level: 'must',
    async run(target) {
      const index = target.metadata.inputs.findIndex(({ datatype }) => rangeOf(datatype) !== undefined);
      const range = rangeOf(target.metadata.inputs[index]?.datatype ?? '');
      given(range !== undefined, 'no input has a datatype of integers');
      const inputs = oip.makeInputs(target);
      const data = inputs[index]?.['data'] as number[];
      data[0] = range.min;
      data[data.length - 1] = range.max;
      await infer(target, { inputs });
    },
  },
  {
    name: 'a chunked body without a length is read',
    section: 'HTTP/REST',
    level: 'should',
    async run(target) {
      const bytes = new TextEncoder().encode(JSON.stringify({ inputs: oip.makeInputs(target) }));
      let sent = 0;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent >= bytes.length) return controller.close();
          controller.enqueue(bytes.slice(sent, sent + 1000));
          sent += 1000;
        },
      });
      const request: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' };
      const headers = { 'content-type': 'application/json' };
      await oip.readAnswer(await target.send(oip.inferPath(target), { ...request, headers }));
    },
  },
];

async function infer(target: oip.OipTarget, changes: Partial<oip.Request>): Promise<oip.Answer> {
  return oip.readAnswer(await oip.postJson(target, { inputs: oip.makeInputs(target), ...changes }));
}
