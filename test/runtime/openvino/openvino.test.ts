/** OpenVINO keeps the contract of a runtime. */
import { test } from 'node:test';
import { openvinoRuntime } from '../../../src/runtime/openvino/openvino.ts';
import { runtimeConformance } from '../runtime-conformance.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from './installed-libraries.ts';

if (NO_OPENVINO === false) runtimeConformance(openvinoRuntime(LIBRARY_FOLDER), 'cpu', { wholeNumberBits: 32 });
else test('the contract of a runtime: openvino on cpu', { skip: NO_OPENVINO });
