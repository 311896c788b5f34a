/** zod schemas of text that the engine child takes from strangers' files: bounded on both sides of the process boundary. */
import { z } from 'zod';
import { boundedSentences, cut, READ_LENGTH } from './foreign-text.ts';

export const foreignText = z.string().transform((text) => cut(text, READ_LENGTH));

export const warningsSchema = z.array(z.string()).transform((warnings) => boundedSentences(warnings));
