/** What the WebAssembly module exports, besides its memory. */
export { transformInput, multiplyFourRows, multiplyPoints, transformOutput } from './winograd';
export { convolveDirect } from './direct';
export { decodeRows, packDirect, packWinograd, finishScales } from './pack-weights';
export { importMap, exportMap, clearRing, fillValue, copyPixels, poolMaximum, averageMap } from './maps';
export { combine, applyLinear, applyChannels, applyRelu, applySigmoid, applySoftmax } from './elementwise';
export { multiplyAddPeak, FOUR_ROW_COLUMNS, STREAMS } from './matrix-tiles';
