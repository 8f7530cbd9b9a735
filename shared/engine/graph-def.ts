/** The parts of a TensorFlow GraphDef in JSON that the engine reads, and the values of its attributes. */

export interface GraphDefNode {
  name: string;
  op: string;
  input?: readonly string[];
  attr?: Readonly<Record<string, unknown>>;
}

interface AttributeValue {
  s?: string;
  i?: string | number;
  f?: number;
  b?: boolean;
  list?: { i?: readonly (string | number)[]; s?: readonly string[] };
  shape?: { dim?: readonly { size: string | number }[] };
}

function attributeOf(node: GraphDefNode, name: string): AttributeValue {
  return node.attr?.[name] ?? {};
}

export function readString(node: GraphDefNode, name: string): string {
  return atob(attributeOf(node, name).s ?? '');
}

export function readStrings(node: GraphDefNode, name: string): string[] {
  return (attributeOf(node, name).list?.s ?? []).map((text) => atob(text));
}

export function readIntegers(node: GraphDefNode, name: string): number[] {
  return (attributeOf(node, name).list?.i ?? []).map(Number);
}

export function readNumber(node: GraphDefNode, name: string): number {
  const { f, i } = attributeOf(node, name);
  return f ?? Number(i ?? 0);
}

export function readBoolean(node: GraphDefNode, name: string): boolean {
  return attributeOf(node, name).b ?? false;
}

/** Dimensions of a placeholder; -1 is open. */
export function readShape(node: GraphDefNode): number[] {
  return (attributeOf(node, 'shape').shape?.dim ?? []).map(({ size }) => Number(size));
}
