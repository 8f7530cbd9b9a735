/** What computes, as the operating system tells: the name of a GPU, and whether a CPU multiplies bfloat16 itself. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const CPU_FILE = '/proc/cpuinfo';
const GPU_FOLDER = '/proc/driver/nvidia/gpus';

/** Flags of x86 processors, and the feature of ARM ones, with which oneDNN multiplies bfloat16 without converting it. */
const FAST_FLAGS = ['avx512_bf16', 'amx_bf16', 'bf16'];

/**
 * What to know before computing in bfloat16 on this CPU; undefined where it has a fast path.
 *
 * `cpuInfo` is the text of /proc/cpuinfo, undefined where there is none.
 */
export function adviseOnBfloat16(cpuInfo: string | undefined): string | undefined {
  if (cpuInfo === undefined) {
    return `bfloat16: there is no ${CPU_FILE} to tell whether this CPU computes it fast; compare with --precision float32`;
  }
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(cpuInfo)?.[1]?.split(/\s+/));
  if (FAST_FLAGS.some((flag) => flags.has(flag))) return undefined;
  return `bfloat16 has no fast path on this CPU (none of ${FAST_FLAGS.join(', ')} in ${CPU_FILE}); --precision float32 is likely faster`;
}

export function readCpuInfo(file = CPU_FILE): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** The model of the first NVIDIA GPU, for example `NVIDIA H200`; undefined where its driver tells none. */
export function readGpuName(folder = GPU_FOLDER): string | undefined {
  try {
    const [first] = readdirSync(folder).toSorted();
    if (first === undefined) return undefined;
    return /^Model:\s*(.+)$/m.exec(readFileSync(join(folder, first, 'information'), 'utf8'))?.[1]?.trim();
  } catch {
    return undefined;
  }
}
