/** `--vae`, `--preview-vae` and `--prediction-type` among several models. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choicesOfModels } from '../../src/app/choices-of-models.ts';
import { modelList } from '../../src/config/options/model-list.ts';
import { onlyPredictionType, predictionTypes } from '../../src/config/options/prediction-type.ts';

const IDS = ['photo', 'owner/name', 'a=b'];
const environment = { HOME: '/home/u' };

function choices(stated: { readonly vae?: string; readonly previewVae?: string; readonly types?: string }, ids = IDS) {
  const { types, ...places } = stated;
  const predictionType = types === undefined ? undefined : predictionTypes.parseText(types);
  const models = modelList.parseText(ids.map((_, index) => `m${index}`).join());
  const of = choicesOfModels({ vae: undefined, ...places, predictionType, models, environment }, ids);
  return ids.map(of);
}

test('each model gets what stands behind its own name, and the others nothing', () => {
  const vae = 'photo=~/x.safetensors, a=b=/y/v=1';
  assert.deepEqual(
    choices({ vae, previewVae: 'owner/name=madebyollin/taesdxl', types: 'photo=sample,a=b=v_prediction' }),
    [
      { vae: '/home/u/x.safetensors', previewVae: undefined, predictionType: 'sample' },
      { vae: undefined, previewVae: 'madebyollin/taesdxl', predictionType: undefined },
      { vae: '/y/v=1', previewVae: undefined, predictionType: 'v_prediction' },
    ],
  );
});

test('a value without a name is for the only model, whatever signs are in it', () => {
  const [only] = choices({ vae: '/a=b,c/v.safetensors', types: 'epsilon' }, ['photo']);
  assert.deepEqual(only, { vae: '/a=b,c/v.safetensors', previewVae: undefined, predictionType: 'epsilon' });
  assert.equal(choices({ vae: 'photo=/v' }, ['photo'])[0]?.vae, '/v');
  const plain = choicesOfModels({ vae: 'photo=/v', environment }, ['photo']);
  assert.equal(plain('photo').vae, 'photo=/v', 'without --models no name is looked for');
});

for (const [stated, code, message] of [
  [
    { vae: '/v.safetensors' },
    'conflicting_options',
    /^--vae "\/v\.safetensors" is for one model, and --models has 3\. Say which: --vae photo=\/v\.safetensors$/,
  ],
  [{ previewVae: 'madebyollin/taesd' }, 'conflicting_options', /^--preview-vae "madebyollin\/taesd" is for one model/],
  [
    { types: 'epsilon' },
    'conflicting_options',
    /^--prediction-type "epsilon" is for one model, .* --prediction-type photo=epsilon$/,
  ],
  [
    { vae: 'phto=/v' },
    'invalid_option',
    /^--vae names the model "phto", which --models does not have\. Did you mean "?photo"?\? It has "photo", "owner\/name", "a=b"\.$/,
  ],
  [{ types: 'x=epsilon' }, 'invalid_option', /^--prediction-type names the model "x", which --models does not have\./],
  [{ vae: 'photo=/v,photo=/w' }, 'invalid_option', /^--vae names the model "photo" twice\.$/],
  [{ vae: 'photo=' }, 'invalid_option', /^--vae has no autoencoder behind "photo="\.$/],
  [{ vae: 'photo=/v,' }, 'conflicting_options', /^--vae "" is for one model/],
] as const)
  test(`${JSON.stringify(stated)} is refused with the names that there are`, () => {
    assert.throws(() => choices(stated), { code, message });
  });

test('a prediction type that is none is none with a name too, and one model needs no name', () => {
  for (const text of ['v', 'photo=v', 'photo=', '=epsilon', 'photo=epsilon,photo=sample', 'photo=epsilon,sample', ''])
    assert.equal(predictionTypes.parseText(text), undefined, text);
  assert.equal(onlyPredictionType(predictionTypes.parseText('sample')), 'sample');
  assert.throws(() => onlyPredictionType(predictionTypes.parseText('a=sample')), {
    code: 'conflicting_options',
    message: /for one model give the type alone, as --prediction-type sample\.$/,
  });
});
