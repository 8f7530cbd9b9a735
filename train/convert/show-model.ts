/** A model folder as text for people: what it is, its layers, what was measured of it. */
import type { Evaluation, LayerEntry, ModelManifest } from '../../shared/manifest.ts';
import { buildLayerTable, countParameters } from '../../shared/resnet.ts';
import { formatCount, formatPercent } from '../number-text.ts';

/** The text of `npm run model -- show`. */
export function formatModel(manifest: ModelManifest, evaluation: Evaluation | undefined): string {
  const { architecture, provenance, preprocess } = manifest;
  const counts = countParameters(buildLayerTable(architecture));
  const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const facts = {
    name: manifest.name,
    id: manifest.modelId,
    run: `${provenance.run}, step ${provenance.step}, epoch ${provenance.epoch}, seed ${provenance.seed}, commit ${provenance.commit ?? 'unknown'}`,
    'trained on': `${provenance.engine}, ${provenance.hardware}`,
    input: `${formatShape(architecture.inputShape)}, ${preprocess.id}, mean ${preprocess.mean.join(' ')}, std ${preprocess.std.join(' ')}`,
    classes: manifest.classNames.join(', '),
    weights: `${manifest.weightType}${manifest.isFolded ? ', batch norm folded' : ''}, ${manifest.files.length} files, ${(sizeBytes / 1e6).toFixed(2)} MB`,
    measured: formatEvaluation(evaluation),
    licence: manifest.licence,
  };
  const width = Math.max(...Object.keys(facts).map((key) => key.length));
  return [
    ...Object.entries(facts).map(([key, fact]) => `${key.padEnd(width)}  ${fact}`),
    '',
    formatLayers(manifest),
    `total: ${formatCount(counts.trainable)} trained parameters, ${formatCount(counts.moving)} moving statistics`,
  ].join('\n');
}

/** The layers as a table; the node is shown where it has another name. */
function formatLayers({ layers, isFolded }: ModelManifest): string {
  const rows = layers.map((layer) => [
    layer.name,
    layer.kind,
    formatShape(layer.shape),
    layer.parameters === 0 ? '' : formatCount(layer.parameters),
    ...(isFolded ? [describeNode(layer)] : []),
  ]);
  const table = [['layer', 'kind', 'shape', 'parameters', ...(isFolded ? ['node'] : [])], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return table
    .map((row) =>
      row
        .map((cell, column) => (column === 3 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function describeNode({ name, node }: LayerEntry): string {
  return node === name ? '' : node;
}

/** One line: accuracy with n and interval, or that there is none. */
export function formatEvaluation(evaluation: Evaluation | undefined): string {
  if (evaluation === undefined) return 'nothing yet; run "npm run model -- evaluate"';
  const { metrics, parity, dataset, runtime } = evaluation;
  const accuracy =
    metrics === null
      ? 'no accuracy yet'
      : `accuracy ${formatPercent(metrics.accuracy)} (${metrics.accuracyInterval.map(formatPercent).join(' to ')}), n = ${metrics.n}, loss ${metrics.loss.toFixed(4)}`;
  const agreement = parity.map(
    (record) =>
      `; as ${record.reference} on ${record.images} images up to ${record.maxLogitDifference.toExponential(1)}`,
  );
  return `${accuracy}, ${dataset.name} ${dataset.split}, ${runtime}${agreement.join('')}`;
}

function formatShape(shape: readonly number[]): string {
  return shape.join(' x ');
}
