/** Frictions 5, 6, 7, 9 and 19: what people of web UIs type, where the image goes, what is said meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGenerationParameters } from '../../../src/image/read-parameters.ts';
import type { Place } from './places.ts';
import { jsonLines, Shell, SMALL_IMAGES } from './shell.ts';

const NOT_BEGUN = /loading the model/;

export function testDrawing(place: Place): void {
  const shell = new Shell(place, 'drawing', SMALL_IMAGES);

  test('5: the prompt as an argument, short letters, other tools’ names, and their names of samplers', async () => {
    const { stdout } = await shell.type(
      'text2img generate "a red circle" --scheduler "DPM++ 2M Karras" --seed -1 -n 2 -o several/',
      {
        prints: /^several\/text2img-(\d+)-1\.png .*\nseveral\/text2img-\1-2\.png/,
        says: /\n2 images in several \([\d.]+ s\)\n$/,
      },
    );
    const [path = ''] = stdout.split(' ');
    const png = shell.read(path);
    assert.ok(png.includes('Sampler: DPM++ 2M Karras'), 'the PNG says what was typed');
    assert.equal(readGenerationParameters(png).scheduler, 'dpmpp_2m_karras');
    const one = await shell.type(
      'text2img generate -p "a red circle" --steps 3 --cfg-scale 4 --sampler "Euler a" --negative blur --size 128x64 -s 7 -o one.png --json',
    );
    const [told = {}] = jsonLines(one.stdout, 'generate');
    const asked = {
      prompt: 'a red circle',
      num_inference_steps: 3,
      guidance_scale: 4,
      negative_prompt: 'blur',
      width: 128,
      height: 64,
      seed: 7,
    };
    for (const [name, value] of Object.entries(asked)) assert.deepEqual([name, told[name]], [name, value], one.stdout);
    await shell.type('text2img generate "a red circle" -W 64 -H 128 -o letters.png', { prints: /^letters\.png/ });
  });

  test('6: a folder is made and gets a name of the seed; one that is missing before a file’s name is told before anything is generated', async () => {
    for (const _ of ['made', 'there already'])
      await shell.type('text2img generate "a fox" -s 7 --output pics/', { prints: /^pics\/text2img-7\.png {2}/ });
    await shell.type('text2img generate "a fox" --output out/fox.png', {
      code: 2,
      says: /"out\/fox\.png" does not exist.*\[not_found\]\n$/,
      never: NOT_BEGUN,
    });
    assert.ok(!shell.has('out'));
  });

  test('7: a file that is replaced is named, --no-clobber keeps it, and other endings are refused', async () => {
    await shell.type('text2img generate "a fox" -s 1 --output x.png', { never: /replaced/ });
    await shell.type('text2img generate "a fox" -s 2 --output x.png', { says: /^replaced x\.png$/m });
    const before = shell.read('x.png');
    const refused = { code: 2, never: NOT_BEGUN };
    await shell.type('text2img generate "a fox" -s 3 --output x.png --no-clobber', {
      ...refused,
      says: /"x\.png" exists.*\[invalid_option\]\n$/,
    });
    assert.ok(shell.read('x.png').equals(before));
    await shell.type('text2img generate "a fox" --output x.jpg', {
      ...refused,
      says: /"x\.jpg".*PNG.*"x\.png".*\[invalid_option\]\n$/,
    });
  });

  test('9: syntax of web UIs is generated as plain text, and one warning quotes it', async () => {
    const line = 'text2img generate "(masterpiece:1.2), a {red|blue} circle, __color__, <lora:foo:0.8>" -o syntax.png';
    const { stderr } = await shell.type(line);
    const warnings = stderr.split('\n').filter((one) => one.includes('WARNING'));
    assert.equal(warnings.length, 1, stderr);
    assert.match(warnings[0] ?? '', /masterpiece:1\.2.*\{red\|blue\}.*__color__.*read as plain text/);
    await shell.type('text2img generate "a fox, <lora:foo:0.8>" -o lora.png', {
      says: /<lora:foo:0\.8>.*read as plain text/,
    });
  });
}
