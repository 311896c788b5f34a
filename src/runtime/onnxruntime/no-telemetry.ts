/**
 * Imported before `onnxruntime-node`, because this variable must be set by then. Without it, ONNX Runtime 1.30 sends telemetry from every process
 * that loads it, and keeps an identity of the device under the home folder. Node passes what is written here on to the process itself.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
