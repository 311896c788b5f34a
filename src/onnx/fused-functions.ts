/**
 * The operators of the fused form as functions of the model, made of standard operators. With them a graph in that form runs without a GPU.
 * Inputs and attributes: docs/ContribOperators.md of ONNX Runtime 1.30. Its CUDA kernels (contrib_ops/cuda/diffusion) say what is rounded where.
 * Statistics, norm and activation are in float32. Sums of inputs have the inputs' own type.
 */
import type { AttributeProto, FunctionProto, NodeProto } from './onnx-schema.ts';
import { ELEMENT_TYPES } from './onnx-schema.ts';
import { type Attribute, attributeProto, nodeProto } from './protos.ts';
import { FIRST, LAST } from './layout.ts';

/** ONNX's number of the type; no tensor of this project has it. */
const BOOL = 9;
const FLOAT = 1;
const INT = 2;
const INTS = 7;

interface Operator {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[];
  readonly nodes: readonly NodeProto[];
}

/** @param domain of the functions @param opset version of the standard operators */
export function fusedFunctions(domain: string, opset: number): readonly FunctionProto[] {
  return Object.entries(OPERATORS).map(([name, { inputs, outputs, attributes, nodes }]) => ({
    name,
    domain,
    input: inputs,
    output: outputs,
    attribute: attributes,
    node: nodes.map((node, index) => ({ ...node, name: `${name}/${index}` })),
    opsetImport: [{ domain: '', version: opset }],
  }));
}

type Inputs = readonly string[];

function node(
  opType: string,
  input: Inputs,
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
  return { ...nodeProto(output, opType, input, [output]), attribute };
}

/** With attributes whose values the calling node has. */
function nodeLike(opType: string, input: Inputs, output: string, taken: readonly AttributeProto[]): NodeProto {
  return { ...nodeProto(output, opType, input, [output]), attribute: taken };
}

function taken(name: string, type: number, from = name): AttributeProto {
  return { name, type, refAttrName: from };
}

const numbers = (output: string, value: readonly number[]): NodeProto =>
  node('Constant', [], output, { value_ints: value });

/** An attribute of the calling node as a vector of one number. */
const attributeVector = (name: string, output: string): readonly NodeProto[] => [
  nodeLike('Constant', [], `${output}_scalar`, [taken('value_int', INT, name)]),
  numbers(`${output}_axis`, [0]),
  node('Unsqueeze', [`${output}_scalar`, `${output}_axis`], output),
];

const toFloat32 = (input: string, output: string): NodeProto =>
  node('Cast', [input], output, { to: ELEMENT_TYPES.float32 });

/** `Y` from `sum`, which has its channels last, in the type of `like`. */
const normalized = (sum: string, like: string): readonly NodeProto[] => [
  toFloat32(sum, 'wide'),
  node('Transpose', ['wide'], 'first', { perm: FIRST }),
  node('Shape', ['first'], 'first_shape'),
  ...attributeVector('groups', 'group_count'),
  numbers('keep', [0]),
  numbers('rest', [-1]),
  node('Concat', ['keep', 'group_count', 'rest'], 'grouped_shape', { axis: 0 }),
  node('Reshape', ['first', 'grouped_shape'], 'grouped'),
  { ...node('Constant', [], 'one'), attribute: [{ name: 'value_float', type: FLOAT, f: 1 }] },
  node('Expand', ['one', 'group_count'], 'ones'),
  node('ConstantOfShape', ['group_count'], 'zeros'),
  nodeLike('InstanceNormalization', ['grouped', 'ones', 'zeros'], 'normal', [taken('epsilon', FLOAT)]),
  node('Reshape', ['normal', 'first_shape'], 'ungrouped'),
  node('Transpose', ['ungrouped'], 'last', { perm: LAST }),
  node('Mul', ['last', 'gamma'], 'scaled'),
  node('Add', ['scaled', 'beta'], 'shifted'),
  node('Sigmoid', ['shifted'], 'gate'),
  node('Mul', ['shifted', 'gate'], 'activated'),
  // One dimension from number `activation` on: 1 for 0, 0 for 1. A constant cannot take the attribute, because a 0 is not in the model's bytes.
  nodeLike('Shape', ['keep'], 'left', [taken('start', INT, 'activation')]),
  node('Size', ['left'], 'left_count'),
  node('Cast', ['left_count'], 'is_plain', { to: BOOL }),
  node('Where', ['is_plain', 'shifted', 'activated'], 'result'),
  node('CastLike', ['result', like], 'Y'),
];

const OPERATORS: Readonly<Record<string, Operator>> = {
  NhwcConv: {
    inputs: ['X', 'W', 'B'],
    outputs: ['Y'],
    attributes: ['kernel_shape', 'strides', 'pads'],
    nodes: [
      node('Transpose', ['X'], 'x', { perm: FIRST }),
      node('Transpose', ['W'], 'w', { perm: FIRST }),
      nodeLike('Conv', ['x', 'w', 'B'], 'y', [
        taken('kernel_shape', INTS),
        taken('strides', INTS),
        taken('pads', INTS),
      ]),
      node('Transpose', ['y'], 'Y', { perm: LAST }),
    ],
  },
  GroupNorm: {
    inputs: ['X', 'gamma', 'beta'],
    outputs: ['Y'],
    attributes: ['groups', 'epsilon', 'activation'],
    nodes: normalized('X', 'X'),
  },
  SkipGroupNorm: {
    inputs: ['X', 'gamma', 'beta', 'skip', 'bias'],
    outputs: ['Y'],
    attributes: ['groups', 'epsilon', 'activation'],
    nodes: [
      // Fails where the skip has another number of rows than the batch, as the kernel does.
      node('Shape', ['X'], 'batch', { start: 0, end: 1 }),
      numbers('sides', [1, 1]),
      node('Shape', ['X'], 'channels', { start: 3, end: 4 }),
      node('Concat', ['batch', 'sides', 'channels'], 'skip_shape', { axis: 0 }),
      node('Reshape', ['skip', 'skip_shape'], 'each'),
      node('Add', ['X', 'bias'], 'biased'),
      node('Add', ['biased', 'each'], 'S'),
      ...normalized('S', 'X'),
    ],
  },
  BiasAdd: {
    inputs: ['X', 'bias', 'skip'],
    outputs: ['Y'],
    attributes: [],
    nodes: [node('Add', ['X', 'bias'], 'biased'), node('Add', ['biased', 'skip'], 'Y')],
  },
  BiasSplitGelu: {
    inputs: ['X', 'bias'],
    outputs: ['Y'],
    attributes: [],
    nodes: [
      node('Add', ['X', 'bias'], 'biased'),
      toFloat32('biased', 'wide'),
      {
        ...node('Split', ['wide'], 'value', { axis: -1, num_outputs: 2 }),
        output: ['value', 'gate'],
      },
      node('Gelu', ['gate'], 'opened'),
      node('Mul', ['value', 'opened'], 'product'),
      node('CastLike', ['product', 'X'], 'Y'),
    ],
  },
};
