"""CLIP's merges in the form that the package ships: models/clip-tokenizer/merges.txt.gz.

    python reference/make_clip_vocabulary.py bpe_simple_vocab_16e6.txt.gz

The source is OpenAI CLIP's bpe_simple_vocab_16e6.txt.gz (MIT), as the open_clip_torch wheel has it. CLIP reads its first 48,894 merges only; the
vocabulary follows from them, so it is not stored.
"""
import gzip
import sys
from pathlib import Path

MERGES = 49152 - 256 - 2

lines = gzip.open(sys.argv[1], "rt", encoding="utf-8").read().split("\n")
text = "\n".join(lines[1 : MERGES + 1]) + "\n"
out = Path(__file__).parent.parent / "models" / "clip-tokenizer" / "merges.txt.gz"
out.parent.mkdir(parents=True, exist_ok=True)
# Without a time and a name in its header: the same bytes at each run.
out.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))
