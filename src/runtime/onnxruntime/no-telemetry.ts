/**
 * Imported before `onnxruntime-node` is: version 1.30 of ONNX Runtime sends telemetry from every process that loads it, and keeps an identity
 * of the device under the home folder, unless this variable is set by then. Node hands what is written here to the process itself.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
