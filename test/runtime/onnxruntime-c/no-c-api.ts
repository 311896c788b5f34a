/** For `skip` of a test: false where ONNX Runtime's C API can be called here. */
export const NO_C_API: false | string =
  process.platform !== 'linux' && 'ONNX RUNTIME’S C API IS NOT TESTED: it is used on Linux only';
