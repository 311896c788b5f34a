/**
 * The release of OpenVINO that is used, pinned by checksums. It comes as a Python package; only the libraries for a CPU are wanted. The
 * package for Linux x86-64 unpacks to 179 MB, these files to 93 MB.
 * The numbers of element types in OpenVINO's C API have moved between releases, so another release is never loaded.
 */

export const OPENVINO_VERSION = '2026.4.1';

interface LibraryFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface OpenvinoBuild {
  readonly wheel: {
    /** Below the index's folder of packages. */
    readonly path: string;
    readonly sha256: string;
    readonly sizeBytes: number;
  };
  readonly files: readonly LibraryFile[];
}

/** The C API, which the other libraries are loaded through. */
export const C_LIBRARY = 'libopenvino_c.so.2641';

/**
 * `<process.platform>-<process.arch>` → its build.
 * NOT RUN: linux-arm64. Made with `pip download --no-deps --platform manylinux_2_28_x86_64 --python-version 3.12 openvino==2026.4.1`
 * (`manylinux_2_35_aarch64`) and `sha256sum`.
 */
const BUILDS: Readonly<Record<string, OpenvinoBuild>> = {
  'linux-x64': {
    wheel: {
      path: 'ec/3a/2a173ac1ad749ff0b041788eefc1ade0d410231fedfc43f77474f3b806cc/openvino-2026.4.1-22982-cp312-cp312-manylinux_2_28_x86_64.whl',
      sha256: '6b4375c17ddcac83a5180349e2e2bb811185c261066e2a920659892d58ef0e3b',
      sizeBytes: 59_144_434,
    },
    files: [
      {
        name: C_LIBRARY,
        sizeBytes: 377_505,
        sha256: 'd2d0836d422b21fc5da2739af0d6035df3fc6dd5e4756402eb848974edecf8a5',
      },
      {
        name: 'libopenvino.so.2641',
        sizeBytes: 20_526_937,
        sha256: '9b9a80ac1f18e07b13ed54459d9a865bcfe9dc170dbf8fe740c2974b85ecedc1',
      },
      {
        name: 'libopenvino_intel_cpu_plugin.so',
        sizeBytes: 63_691_929,
        sha256: '6599e3dd300d047b5ed72f8e48101c5f312c25321f35f57f803641ff8372900b',
      },
      {
        name: 'libopenvino_onnx_frontend.so.2641',
        sizeBytes: 6_827_321,
        sha256: '82d499f5b5e8514def7aaa1ecd5a9f570542d33ae9d00a0077f707cccd0e0192',
      },
      {
        name: 'libopenvino_ir_frontend.so.2641',
        sizeBytes: 640_313,
        sha256: '554e9fd3d4a0fbc587c14379464b2324e24b8ea736cfb749ad2cd9e74dfc09e0',
      },
      {
        name: 'libtbb.so.12',
        sizeBytes: 369_313,
        sha256: 'ac9518497a4f2cb6729792730f145ee58367316031511923fef263c9ac81ca61',
      },
      {
        name: 'libtbbmalloc.so.2',
        sizeBytes: 159_729,
        sha256: '0cccbdb4783bf190da19b34540fb7f749b0955ec1982d7ac8e5f398365399895',
      },
      {
        name: 'libtbbbind_2_5.so.3',
        sizeBytes: 33_025,
        sha256: '179ebd1223abd20a461dc978f24090d7ef7c1308b8dff14e4adfe4a21d75543f',
      },
      {
        name: 'libhwloc.so.15',
        sizeBytes: 473_321,
        sha256: 'e91be9f5bc1c87aadb08f2e19ebcb742979adda0a5434f72650a154e317e7fb1',
      },
    ],
  },
  'linux-arm64': {
    wheel: {
      path: 'b2/d7/390c0ec5b81b6e089b012aaba6a2dc14f3ac7c52bfd78d10f074e72616ab/openvino-2026.4.1-22982-cp312-cp312-manylinux_2_35_aarch64.whl',
      sha256: '82efccb2f9f1bdc7e5a1996e05a3b719ebff9232dd54b44150d6d2e983a86b7d',
      sizeBytes: 30_332_437,
    },
    files: [
      {
        name: C_LIBRARY,
        sizeBytes: 356_801,
        sha256: 'dfb34063847add4fe0689583633e74b69d7844e9e5a4b085476b0861c0b28f51',
      },
      {
        name: 'libopenvino.so.2641',
        sizeBytes: 17_135_873,
        sha256: '4a4ce9bb19ab78288b36ff39cbfebf1307c6b1ffda953b0c2b32129a8e89f04a',
      },
      {
        name: 'libopenvino_arm_cpu_plugin.so',
        sizeBytes: 44_571_169,
        sha256: '839cb0653151d0962e13a129b7b1ad2ffc700b5a1472e847cdcb83e523cf424e',
      },
      {
        name: 'libopenvino_onnx_frontend.so.2641',
        sizeBytes: 5_845_145,
        sha256: '2ea8eb7270401e9a1ccf4de9f5fc4bcb3177d00f431a8e9bfa24dfe19b7a4578',
      },
      {
        name: 'libopenvino_ir_frontend.so.2641',
        sizeBytes: 554_009,
        sha256: '0c1e737e93e78b5ffaf854d830140d2d84046847e19cd5226a1aff1c56be4431',
      },
      {
        name: 'libtbb.so.12',
        sizeBytes: 274_601,
        sha256: '07ad125a3e19dbc40cf74ea6d4bd4c67ad7df5aaff9611178eea99592bc7a921',
      },
      {
        name: 'libtbbmalloc.so.2',
        sizeBytes: 200_449,
        sha256: 'bca9902d8052b83cf3c23bed67504dfabe7880c6560a7d3de79b81bdb88ba17f',
      },
      {
        name: 'libtbbbind_2_5.so.3',
        sizeBytes: 134_961,
        sha256: 'f9da5eebe1266d410886c5786a24aaa1bfc6359fffa74902b76466d6ea1f1138',
      },
      {
        name: 'libhwloc.so.15',
        sizeBytes: 600_441,
        sha256: '1a676211ff976f372092cc7946f7283fd3cdf68a35710b841dfec07b2d1dbf1a',
      },
    ],
  },
};

/** undefined: OpenVINO is not used on such a machine. */
export function openvinoBuild(
  platform: string = process.platform,
  arch: string = process.arch,
): OpenvinoBuild | undefined {
  return BUILDS[`${platform}-${arch}`];
}
