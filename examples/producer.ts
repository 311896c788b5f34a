/**
 * A producer: puts prompts into the queue, and waits until each has its image. It knows the documents only, not text2img's code.
 * It needs Node 24 or newer, which `npx node` starts in this clone.
 * Usage: MONGO_URI=mongodb://db.example/app npx node examples/producer.ts "a red fox" "a blue boat"
 * Each job is one line of JSON on standard output. PROMPT_OPTIONS may hold more fields as JSON: {"width": 512, "height": 512, "num_inference_steps": 30}
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';

const { MONGO_URI: uri, PROMPT_OPTIONS: options = '{}' } = process.env;
const texts = process.argv.slice(2);
if (uri === undefined || texts.length === 0)
  throw new Error('usage: MONGO_URI=… npx node examples/producer.ts "PROMPT"…');

await using client = new MongoClient(uri);
// "majority": what the server has confirmed survives an election.
const prompts = client.db().collection('prompts', { writeConcern: { w: 'majority' } });
const fields: object = JSON.parse(options);
const { insertedIds } = await prompts.insertMany(texts.map((text) => ({ text, status: 'pending', ...fields })));

const waiting = new Set(Object.values(insertedIds));
while (waiting.size > 0) {
  await sleep(500);
  const ended = await prompts.find({ _id: { $in: [...waiting] }, status: { $in: ['completed', 'error'] } }).toArray();
  for (const { _id: id, text, status, image_url: imageUrl, error } of ended) {
    process.stdout.write(`${JSON.stringify({ id, text, status, imageUrl, error })}\n`);
    for (const other of waiting) if (other.equals(id)) waiting.delete(other);
  }
}
