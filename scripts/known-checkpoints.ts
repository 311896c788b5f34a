/** Checkpoints that people name, and which of the tests has what is known of each. The test of docs/checkpoints.md looks for all of it. */

export interface KnownCheckpoint {
  readonly name: string;
  readonly family: string;
  /** Folders of test/golden and test/single-files: a tiny checkpoint that is built like the model, compared with diffusers. */
  readonly tiny?: readonly string[];
  /** Folders of test/golden: the model's scheduler over the tiny weights of its family, compared with diffusers. */
  readonly scheduler?: readonly string[];
  /** Its name in test/checkpoint/single-file/known-checkpoints.ts: every tensor with its name and shape, without weights. */
  readonly fullSize?: readonly string[];
  /** Where the facts were read. */
  readonly source?: string;
}

const SD = 'stable-diffusion';
const XL = 'stable-diffusion-xl';
const HUB = 'its configuration on the hub';
const CASE = 'the page that its `case.json` names';
const COMFY = 'ComfyUI’s `comfy/model_detection.py`';
const SCRIPTS = 'diffusers’ conversion scripts';

export const KNOWN_CHECKPOINTS: readonly KnownCheckpoint[] = [
  {
    name: 'Stable Diffusion 1.5',
    family: SD,
    tiny: ['golden/plain', 'single-files/sd-1'],
    fullSize: ['Stable Diffusion 1.5'],
    source: `${HUB}, ${SCRIPTS}`,
  },
  {
    name: 'Stable Diffusion 2.1',
    family: SD,
    tiny: ['golden/sd2-plain', 'single-files/sd-2'],
    fullSize: ['Stable Diffusion 2.1'],
    source: `${HUB}, ${SCRIPTS}`,
  },
  {
    name: 'Stable Diffusion 2 base',
    family: SD,
    tiny: ['single-files/sd-2-base'],
    scheduler: ['golden/sd2-base'],
    source: HUB,
  },
  { name: 'SD-Turbo', family: SD, tiny: ['single-files/sd-turbo'], scheduler: ['golden/sd2-turbo'], source: HUB },
  { name: 'Realistic Vision 5.1', family: SD, scheduler: ['golden/known-realistic-vision'], source: CASE },
  { name: 'DreamShaper 8', family: SD, scheduler: ['golden/known-dreamshaper'], source: CASE },
  { name: 'miniSD', family: SD, scheduler: ['golden/known-minisd'], source: CASE },
  {
    name: 'BK-SDM, small-sd',
    family: SD,
    tiny: ['golden/unet-no-mid-block', 'single-files/sd-1-bk-small', 'single-files/sd-1-bk-tiny'],
    fullSize: ['BK-SDM-Base and small-sd', 'BK-SDM-Small', 'BK-SDM-Tiny'],
    source: '`src/unet_config` of Nota-NetsPresso/BK-SDM',
  },
  {
    name: 'tiny-sd',
    family: SD,
    tiny: ['golden/unet-no-mid-block', 'single-files/sd-1-bk-tiny'],
    fullSize: ['BK-SDM-Tiny'],
    source: 'the hub’s article `blog/sd_distillation`: made after BK-SDM',
  },
  { name: 'LCM-Dreamshaper 7', family: 'latent-consistency', tiny: ['golden/lcm-plain'], source: HUB },
  {
    name: 'Stable Diffusion XL',
    family: XL,
    tiny: ['golden/xl-plain', 'single-files/xl'],
    fullSize: ['Stable Diffusion XL'],
    source: `${HUB}, ${SCRIPTS}`,
  },
  { name: 'SDXL-Turbo', family: XL, scheduler: ['golden/xl-turbo'], source: HUB },
  { name: 'SDXL-Lightning', family: XL, scheduler: ['golden/xl-lightning'], source: 'its page on the hub' },
  {
    name: 'Hyper-SD',
    family: XL,
    scheduler: ['golden/known-hyper-ddim', 'golden/known-hyper-tcd', 'golden/known-hyper-unet'],
    source: CASE,
  },
  { name: 'LCM-SDXL', family: XL, tiny: ['golden/xl-lcm'], source: HUB },
  { name: 'Juggernaut XL v9', family: XL, scheduler: ['golden/known-juggernaut'], source: CASE },
  { name: 'Pony V6', family: XL, scheduler: ['golden/known-pony'], source: CASE },
  { name: 'Illustrious', family: XL },
  { name: 'Animagine XL', family: XL, scheduler: ['golden/known-animagine'], source: CASE },
  {
    name: 'NoobAI v-pred',
    family: XL,
    tiny: ['single-files/xl-v-prediction'],
    scheduler: ['golden/known-noobai-v-pred'],
    source: `${CASE}; the marks in its file: ComfyUI’s \`comfy/supported_models.py\``,
  },
  {
    name: 'Playground 2.5',
    family: XL,
    tiny: ['golden/xl-playground', 'single-files/xl-playground'],
    source: HUB,
  },
  {
    name: 'SSD-1B',
    family: XL,
    tiny: ['golden/xl-ssd-1b', 'single-files/xl-ssd-1b'],
    fullSize: ['SSD-1B'],
    source: COMFY,
  },
  {
    name: 'Segmind Vega',
    family: XL,
    tiny: ['single-files/xl-vega'],
    fullSize: ['Segmind Vega'],
    source: COMFY,
  },
  {
    name: 'KOALA 700M and 1B',
    family: XL,
    tiny: ['golden/xl-koala', 'single-files/xl-koala-700m', 'single-files/xl-koala-1b'],
    fullSize: ['KOALA-700M', 'KOALA-1B'],
    source: COMFY,
  },
];
