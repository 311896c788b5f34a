/** Checkpoints that people name, and which of the tests has what is known of each. The test of docs/checkpoints.md looks for all of it. */

export interface KnownCheckpoint {
  readonly name: string;
  readonly family: string;
  /** Folders of test/golden and test/single-files: a tiny checkpoint with its configuration, compared with diffusers. */
  readonly tiny?: readonly string[];
  /** Its name in test/checkpoint/single-file/full-size.test.ts: every tensor with its name and shape, without weights. */
  readonly fullSize?: readonly string[];
  /** What the facts do not say. */
  readonly note?: string;
}

const SD = 'stable-diffusion';
const XL = 'stable-diffusion-xl';
const SD_FILE = ['Stable Diffusion 1.5'];
const XL_FILE = ['Stable Diffusion XL'];

export const KNOWN_CHECKPOINTS: readonly KnownCheckpoint[] = [
  { name: 'Stable Diffusion 1.5', family: SD, tiny: ['golden/plain', 'single-files/sd-1'], fullSize: SD_FILE },
  {
    name: 'Stable Diffusion 2.1',
    family: SD,
    tiny: ['golden/sd2-plain', 'single-files/sd-2'],
    fullSize: ['Stable Diffusion 2.1'],
  },
  { name: 'Stable Diffusion 2 base', family: SD, tiny: ['golden/sd2-base', 'single-files/sd-2-base'] },
  { name: 'SD-Turbo', family: SD, tiny: ['golden/sd2-turbo', 'single-files/sd-turbo'] },
  { name: 'Realistic Vision', family: SD },
  { name: 'DreamShaper', family: SD },
  { name: 'miniSD', family: SD },
  {
    name: 'BK-SDM',
    family: SD,
    tiny: ['golden/unet-no-mid-block', 'single-files/sd-1-bk-small', 'single-files/sd-1-bk-tiny'],
    fullSize: ['BK-SDM-Base and small-sd', 'BK-SDM-Small', 'BK-SDM-Tiny'],
  },
  {
    name: 'tiny-sd',
    family: SD,
    tiny: ['golden/unet-no-mid-block', 'single-files/sd-1-bk-tiny'],
    fullSize: ['BK-SDM-Tiny'],
    note: 'It has the structure of BK-SDM-Tiny.',
  },
  { name: 'LCM-Dreamshaper', family: 'latent-consistency', tiny: ['golden/lcm-plain'] },
  { name: 'Stable Diffusion XL', family: XL, tiny: ['golden/xl-plain', 'single-files/xl'], fullSize: XL_FILE },
  { name: 'SDXL-Turbo', family: XL, tiny: ['golden/xl-turbo'] },
  { name: 'SDXL-Lightning', family: XL, tiny: ['golden/xl-lightning'] },
  { name: 'Hyper-SD', family: XL },
  { name: 'LCM-SDXL', family: XL, tiny: ['golden/xl-lcm'] },
  { name: 'Juggernaut XL', family: XL },
  { name: 'Pony V6', family: XL },
  { name: 'Illustrious', family: XL },
  { name: 'Animagine', family: XL },
  {
    name: 'NoobAI v-pred',
    family: XL,
    tiny: ['golden/xl-v-prediction', 'single-files/xl-v-prediction'],
    note: 'The two marks in its file are those that ComfyUI reads.',
  },
  { name: 'Playground 2.5', family: XL, tiny: ['golden/xl-playground', 'single-files/xl-playground'] },
  { name: 'SSD-1B', family: XL, tiny: ['golden/xl-ssd-1b', 'single-files/xl-ssd-1b'], fullSize: ['SSD-1B'] },
  { name: 'Segmind Vega', family: XL, tiny: ['single-files/xl-vega'], fullSize: ['Segmind Vega'] },
  {
    name: 'KOALA',
    family: XL,
    tiny: ['golden/xl-koala', 'single-files/xl-koala-700m', 'single-files/xl-koala-1b'],
    fullSize: ['KOALA-700M', 'KOALA-1B'],
  },
];
