/** Pipelines of diffusers that are not implemented, by the families and tasks that people know them by. Source: diffusers 0.42, __init__.py. */

/** The first that fits. */
export const OTHER_PIPELINES: readonly (readonly [classes: RegExp, what: string])[] = [
  [/^StableDiffusion3/, 'Stable Diffusion 3'],
  [/^Flux2/, 'FLUX.2'],
  [/^Flux/, 'FLUX'],
  [/^ZImage/, 'Z-Image'],
  [/^QwenImage/, 'Qwen-Image'],
  [/^PixArt/, 'PixArt'],
  [/^Sana(?!Video|WM|ImageToVideo)/, 'Sana'],
  [/^AuraFlow/, 'AuraFlow'],
  [/^Chroma/, 'Chroma'],
  [/^CogView/, 'CogView'],
  [/^HiDream/, 'HiDream'],
  [/^Hunyuan(?:DiT|Image)/, 'Hunyuan image models'],
  [/^Lumina/, 'Lumina'],
  [/^Kandinsky/, 'Kandinsky'],
  [/^Kolors/, 'Kolors'],
  [/^(?:StableCascade|Wuerstchen)/, 'Stable Cascade'],
  [/^IF/, 'DeepFloyd IF'],
  [/^Bria/, 'Bria'],
  [/^OmniGen/, 'OmniGen'],
  [/^(?:Ovis|Krea|Ideogram|Glm|Ernie|PRX|LongCatImage)/, 'newer image models without a UNet'],
  [/ControlNet|Adapter/, 'images that follow a control image'],
  [/InstructPix2Pix/, 'editing an image (InstructPix2Pix)'],
  [/Depth2Img/, 'depth-to-image'],
  [/Upscale|SuperResolution/, 'upscaling'],
  [/^StableUnCLIP|^UnCLIP|ImageVariation/, 'variations of an image'],
  [/Video|^(?:AnimateDiff|Wan|LTX|CogVideo|Mochi|Cosmos|Latte|Allegro|SkyReels)/, 'video'],
  [/Audio|Music|Spectrogram/, 'sound'],
];

/** @returns undefined for a class that nobody knows */
export function otherPipeline(className: string): string | undefined {
  return OTHER_PIPELINES.find(([classes]) => classes.test(className))?.[1];
}
