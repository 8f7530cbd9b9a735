/**
 * How the main routes are asked in Python (standard library, NumPy for arrays) and in TypeScript (the package's client).
 * `HOST` stands for the server; the files that they read are the caller's. Each runs as it stands here: a test does that.
 */
export interface CodeSamples {
  python: string;
  typescript: string;
}

export const CODE_SAMPLES = {
  classify: {
    python: `
import json
from urllib.request import Request, urlopen

with open('car.jpg', 'rb') as file:
    request = Request('HOST/classify', data=file.read())
for prediction in json.load(urlopen(request))['predictions']:
    print(prediction['label'], prediction['score'])`,
    typescript: `
import { readFile } from 'node:fs/promises';
import { Client } from 'resnet18-edge/client';

const client = new Client('HOST');
const { predictions } = await client.classify(await readFile('car.jpg'));
for (const { label, score } of predictions) console.log(label, score);`,
  },
  readActivation: {
    python: `
import io
from urllib.request import urlopen
import numpy

answer = urlopen('HOST/activations/layer3?sample=cat-ginger&format=npy')
layer3 = numpy.load(io.BytesIO(answer.read()))
print(layer3.shape, layer3.max())`,
    typescript: `
import { Client } from 'resnet18-edge/client';

const client = new Client('HOST');
const layer3 = await client.readActivation('layer3', { sample: 'cat-ginger', format: 'npy' });
console.log(layer3.shape, Math.max(...layer3.values));`,
  },
  computeActivation: {
    python: `
import io
from urllib.request import Request, urlopen
import numpy

with open('car.jpg', 'rb') as file:
    request = Request('HOST/activations/layer3?format=npy', data=file.read())
layer3 = numpy.load(io.BytesIO(urlopen(request).read()))
print(layer3.shape, layer3.max())`,
    typescript: `
import { readFile } from 'node:fs/promises';
import { Client } from 'resnet18-edge/client';

const client = new Client('HOST');
const picture = await readFile('car.jpg');
const layer3 = await client.readActivation('layer3', { picture, format: 'npy' });
console.log(layer3.shape, Math.max(...layer3.values));`,
  },
  readExplanation: {
    python: `
import json
from urllib.request import urlopen

explanation = json.load(urlopen('HOST/explain?sample=cat-ginger&class=cat'))
print(explanation['class']['logit'], explanation['residual'])
for channel in explanation['channels']:
    print(channel['channel'], channel['contribution'])`,
    typescript: `
import { Client } from 'resnet18-edge/client';

const client = new Client('HOST');
const explanation = await client.explain({ sample: 'cat-ginger', class: 'cat' });
console.log(explanation.class.logit, explanation.residual);
for (const { channel, contribution } of explanation.channels) console.log(channel, contribution);`,
  },
  evaluate: {
    python: `
import json
from urllib.request import Request, urlopen

with open('test_batch.bin', 'rb') as file:
    records = file.read(100 * 3073)
headers = {'content-type': 'application/octet-stream'}
for line in urlopen(Request('HOST/evaluate', data=records, headers=headers)):
    event = json.loads(line)
    if event['type'] == 'progress':
        print(event['n'], event['accuracy'])
    if event['type'] == 'result':
        print(event['report']['accuracy'])
    if event['type'] == 'problem':
        raise RuntimeError(event['problem']['detail'])`,
    typescript: `
import { readFile } from 'node:fs/promises';
import { Client } from 'resnet18-edge/client';

const client = new Client('HOST');
const records = (await readFile('test_batch.bin')).subarray(0, 100 * 3073);
for await (const step of client.evaluate({ records })) {
  if (step.type === 'progress') console.log(step.n, step.accuracy);
  if (step.type === 'result') console.log(step.report.accuracy);
}`,
  },
  oipInfer: {
    python: `
import json
from urllib.request import Request, urlopen
import numpy

with open('test_batch.bin', 'rb') as file:
    record = numpy.frombuffer(file.read(3073), dtype=numpy.uint8)
pixels = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
image = {'name': 'image', 'shape': [1, 32, 32, 3], 'datatype': 'UINT8', 'data': pixels.ravel().tolist()}
body = json.dumps({'inputs': [image], 'outputs': [{'name': 'probs'}]}).encode()
headers = {'content-type': 'application/json'}
answer = json.load(urlopen(Request('HOST/v2/models/resnet18/infer', data=body, headers=headers)))
print(answer['outputs'][0]['data'])`,
    typescript: `
import { readFile } from 'node:fs/promises';
import { OipClient } from 'resnet18-edge/client';

const record = (await readFile('test_batch.bin')).subarray(0, 3073);
// A record has its planes one after the other, a tensor its pixels.
const data = Uint8Array.from({ length: 3072 }, (_, at) => record[1 + (at % 3) * 1024 + Math.floor(at / 3)] ?? 0);
const inputs = [{ name: 'image', shape: [1, 32, 32, 3], datatype: 'UINT8', data }];
const { outputs } = await new OipClient('HOST').infer('resnet18', { inputs, outputs: ['probs'] });
console.log(outputs.get('probs')?.values);`,
  },
} as const satisfies Record<string, CodeSamples>;
