/** The public URL of an image: what goes into a webhook instead of `gs://…` or `file://…`. */

/** `https://cdn.example/generated/x.png` for the base `https://cdn.example` and the name `generated/x.png`; what the base asks behind `?` stays behind it. */
export function publicUrlUnder(base: string, name: string): string {
  const url = new URL(base);
  const path = name.split('/').map(encodeURIComponent).join('/');
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
  url.hash = '';
  return url.href;
}
