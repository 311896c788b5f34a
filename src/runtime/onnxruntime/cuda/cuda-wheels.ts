/**
 * The packages of CUDA's libraries for Linux x86-64, pinned by version and checksum.
 * The provider must be of the very version of `onnxruntime-node`; a test compares the two.
 */

import type { Wheel } from '../../wheels/wheel.ts';

const LIBRARIES = /\/lib\/[^/]+\.so(?:\.[\d.]+)?$/;

export const ONNX_RUNTIME_VERSION = '1.30.0';

export const CUDA_WHEELS: readonly Wheel[] = [
  {
    name: 'onnxruntime-gpu',
    version: ONNX_RUNTIME_VERSION,
    path: '9e/80/d96143329dbe925d434b016c890a5caa785fac8e14a1570e5d6818b63545/onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl',
    sha256: '6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1',
    sizeBytes: 246_685_715,
    wanted: /\/libonnxruntime_providers_(?:cuda|shared)\.so$/,
  },
  {
    name: 'nvidia-cublas',
    version: '13.10.0.20',
    path: 'b4/12/16628161ed8c109c8c73b38167df50cbc630a8a6e6548e2534d461526c3c/nvidia_cublas-13.10.0.20-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl',
    sha256: 'dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84',
    sizeBytes: 444_289_903,
    wanted: LIBRARIES,
  },
  {
    name: 'nvidia-curand',
    version: '10.4.5.25',
    path: '12/63/636e5dc9afb2959bfc0042a357d5567358df829b66c96d9fc36d77dc0596/nvidia_curand-10.4.5.25-py3-none-manylinux_2_27_x86_64.whl',
    sha256: '22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529',
    sizeBytes: 77_113_015,
    wanted: LIBRARIES,
  },
  {
    name: 'nvidia-cuda-runtime',
    version: '13.5.37',
    path: '0b/7c/14b8f5518f8951e9dca57ea80f44f8ea8bcc8671812e6cc38009f3205e57/nvidia_cuda_runtime-13.5.37-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d',
    sizeBytes: 2_504_024,
    wanted: LIBRARIES,
  },
  {
    name: 'nvidia-cuda-nvrtc',
    version: '13.5.37',
    path: 'a9/54/db4e7f650746265f61c05cf1f8f556dd8c6739b58c823fbc9a7d6fda3247/nvidia_cuda_nvrtc-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: '86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc',
    sizeBytes: 58_185_930,
    wanted: LIBRARIES,
  },
  {
    name: 'nvidia-cudnn-cu13',
    version: '9.28.1.4',
    path: 'ef/6f/94535c450d44a68ef0b43d7a5e54c0e5ecda2ca3db7daec5d54c8d94e0d8/nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl',
    sha256: 'a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec',
    sizeBytes: 516_817_937,
    wanted: LIBRARIES,
  },
];
