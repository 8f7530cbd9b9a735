/**
 * What some tests need beyond `npm ci`: a Chromium, the native TensorFlow engine, Dawn with a software adapter,
 * onnxruntime, NumPy, an S3 server. Without it they are skipped, and the title says why and what to do. With
 * RESNET_REQUIRE_ALL=1 (the pipeline) a missing requirement is a failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';
import { isOnnxruntimeSetUp } from '../../train/convert/onnx/run-onnxruntime.ts';
import { isTensorFlowSetUp } from '../../train/engine/tensorflow/addon.ts';
import { isWebgpuSetUp } from '../../train/engine/webgpu/dawn.ts';
import { findChromium } from './chromium-path.ts';

/** Vulkan drivers that compute on the CPU: SwiftShader comes with Chromium, lavapipe with Mesa. */
const SOFTWARE_ADAPTERS = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json',
  '/usr/share/vulkan/icd.d/lvp_icd.aarch64.json',
];
/** A software adapter compiles a convolution for half a second of processor time: on a busy machine, for many seconds. */
const COMPILING_MS = 300_000;
const VULKAN_LOADERS = [
  '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
  '/usr/lib/aarch64-linux-gnu/libvulkan.so.1',
  '/usr/lib64/libvulkan.so.1',
  '/usr/lib/libvulkan.so.1',
];

/** A suite that drives a real browser; its tests get it from `openBrowser()`. */
export function describeWithChromium(title: string, body: () => void): void {
  const missing = findChromium() === undefined ? 'no Chromium; install it or set CHROMIUM_PATH' : undefined;
  describeUnlessMissing(title, missing, body);
}

/** A suite that runs on the native TensorFlow engine. */
export function describeWithTensorflow(title: string, body: () => void): void {
  const setUp = isTensorFlowSetUp();
  describeUnlessMissing(title, setUp.ready ? undefined : setUp.reason, body);
}

/**
 * A suite that runs on the WebGPU engine. On Linux it computes on a software adapter, the same everywhere, also where
 * there is a GPU; `VK_DRIVER_FILES` names another driver.
 */
export function describeWithWebgpu(title: string, body: () => void): void {
  const setUp = isWebgpuSetUp();
  describeUnlessMissing(title, setUp.ready ? chooseVulkanDriver() : setUp.reason, body, { timeout: COMPILING_MS });
}

/** Returns what is missing. Dawn reads the variable when its first adapter is asked for. */
function chooseVulkanDriver(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  if (!VULKAN_LOADERS.some((path) => existsSync(path))) return 'no Vulkan loader; install libvulkan1';
  process.env['VK_DRIVER_FILES'] ??= SOFTWARE_ADAPTERS.find((path) => existsSync(path));
  if (process.env['VK_DRIVER_FILES'] !== undefined) return undefined;
  return 'no software adapter; install chromium or mesa-vulkan-drivers, or name a driver with VK_DRIVER_FILES';
}

/** A suite that runs ONNX files. */
export function describeWithOnnxruntime(title: string, body: () => void): void {
  const missing = isOnnxruntimeSetUp() ? undefined : 'no onnxruntime; run "npm run setup:onnxruntime"';
  describeUnlessMissing(title, missing, body);
}

/** A suite that reads files with NumPy and Pillow. */
export function describeWithPython(title: string, body: () => void): void {
  const { status } = spawnSync('python3', ['-c', 'import numpy, PIL']);
  const missing = status === 0 ? undefined : 'no python3 with NumPy and Pillow; run "pip install numpy pillow"';
  describeUnlessMissing(title, missing, body);
}

/** A suite that talks to an S3 server with conditional writes; it starts `versitygwPath()`. */
export function describeWithVersitygw(title: string, body: () => void): void {
  const install = '"go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"';
  const missing = findVersitygw() === undefined ? `no versitygw; run ${install} or set VERSITYGW_PATH` : undefined;
  describeUnlessMissing(title, missing, body);
}

/** The S3 server to launch. Throws where there is none: only for suites of `describeWithVersitygw`. */
export function versitygwPath(): string {
  const path = findVersitygw();
  if (path === undefined) throw new Error('internal: versitygwPath() outside describeWithVersitygw()');
  return path;
}

function findVersitygw(): string | undefined {
  const named = process.env['VERSITYGW_PATH'];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(homedir(), 'go/bin')];
  const paths = named ? [named] : folders.map((folder) => join(folder, 'versitygw'));
  return paths.find((path) => existsSync(path));
}

/** A suite with a requirement of its own: `missing` says what is not there, or is undefined. */
export function describeUnlessMissing(
  title: string,
  missing: string | undefined,
  body: () => void,
  options: { timeout?: number } = {},
): void {
  if (missing !== undefined && process.env['RESNET_REQUIRE_ALL'] === '1') {
    throw new Error(`"${title}" must run here (RESNET_REQUIRE_ALL=1): ${missing}`);
  }
  describe.skipIf(missing !== undefined)(
    missing === undefined ? title : `${title} (skipped: ${missing})`,
    options,
    body,
  );
}
