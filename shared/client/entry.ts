/** What the package exports as `resnet18-edge/client`. */
export { ApiError, type ClientErrorCode } from './api-error.ts';
export {
  Client,
  type ActivationOptions,
  type ClassifyOptions,
  type ExplainOptions,
  type ExplanationPicture,
  type ModelOptions,
  type PictureOptions,
} from './client.ts';
export type { EvaluationStep, LabelledPictures } from './evaluation-stream.ts';
export type { ActivationArray, ActivationAtlas, ActivationForms, ActivationPicture } from './layer-answer.ts';
export { OipClient, type Inference, type InputTensor, type OutputTensor, type VersionOptions } from './oip-client.ts';
export type { ClientOptions, Picture, RequestOptions } from './transport.ts';
export type {
  Activation,
  BatchClassification,
  Classification,
  Explanation,
  LabelList,
  LayerList,
  ModelDetail,
  ModelHistory,
  ModelList,
  Occlusion,
  Prediction,
  Problem,
  Readiness,
  SampleList,
} from '../api.ts';
export type { ModelComparison, ModelEvaluation } from '../evaluation-api.ts';
export type { OipIndex, OipModel, OipServer } from '../oip-api.ts';
