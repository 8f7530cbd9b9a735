/** What a compute kernel is: WGSL with named fields and buffers. Every kernel of the engine is one constant. */

/** Type of each uniform value, in the order in which they lie in memory. */
export type FieldTypes = Readonly<Record<string, 'u32' | 'f32'>>;

/** Buffer name -> WGSL type of its elements. */
type Buffers = Readonly<Record<string, 'f32' | 'vec4f'>>;

export interface KernelDefinition<Fields extends FieldTypes = FieldTypes> {
  readonly name: string;
  readonly fields: Fields;
  readonly reads: Buffers;
  readonly writes: Buffers;
  /** Threads in a workgroup. */
  readonly threads: number;
  /** Functions and workgroup variables. */
  readonly declarations?: string;
  /**
   * Sees the fields as `p.name`, the buffers by name, `local` (thread in its workgroup) and `group` (workgroup). There
   * may be more workgroups than asked for: it must compare `group` or the thread with a field.
   */
  readonly body: string;
}

export interface Kernel<Fields extends FieldTypes = FieldTypes> extends KernelDefinition<Fields> {
  readonly source: string;
}

/** Complete a definition to a WGSL module: fields at binding 0, then what is read, then what is written. */
export function defineKernel<const Fields extends FieldTypes>(definition: KernelDefinition<Fields>): Kernel<Fields> {
  const { fields, reads, writes, threads, declarations = '', body } = definition;
  const bindings = [
    ...Object.entries(reads).map(([name, type]) => `var<storage, read> ${name}: array<${type}>;`),
    ...Object.entries(writes).map(([name, type]) => `var<storage, read_write> ${name}: array<${type}>;`),
  ];
  const source = `
struct Fields {
${Object.entries(fields)
  .map(([name, type]) => `  ${name}: ${type},`)
  .join('\n')}
}
@group(0) @binding(0) var<uniform> p: Fields;
${bindings.map((binding, index) => `@group(0) @binding(${index + 1}) ${binding}`).join('\n')}
${declarations}
@compute @workgroup_size(${threads})
fn main(
  @builtin(workgroup_id) groupPlace: vec3u,
  @builtin(num_workgroups) groupGrid: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let group = groupPlace.y * groupGrid.x + groupPlace.x;
${body}
}
`;
  return { ...definition, source };
}

/** Threads of kernels that compute one element, or four, in each thread. */
export const THREADS_PER_GROUP = 256;

/** Where such a kernel starts: `index` is the element of this thread. */
export const FLAT_INDEX = `
  let index = group * ${THREADS_PER_GROUP}u + local;
  if (index >= p.count) { return; }`;

/** Two forms of a kernel that walks over channels: four at a time where their number allows it. */
export interface LaneKernels<Fields extends FieldTypes> {
  readonly quads: Kernel<Fields>;
  readonly singles: Kernel<Fields>;
}

export type Lane = 'vec4f' | 'f32';

export function defineLaneKernels<const Fields extends FieldTypes>(
  define: (lane: Lane) => Kernel<Fields>,
): LaneKernels<Fields> {
  return { quads: define('vec4f'), singles: define('f32') };
}
