/** How somebody outside finds a picture: what goes into a webhook instead of `gs://…`. */

/** `https://cdn.example/generated/x.png` for the base `https://cdn.example` and the stored URL `gs://bucket/generated/x.png`. */
export function publicUrlUnder(base: string, storedUrl: string): string {
  const name = storedUrl.replace(/^gs:\/\/[^/]+\//, '');
  return `${base.replace(/\/+$/, '')}/${name.split('/').map(encodeURIComponent).join('/')}`;
}
