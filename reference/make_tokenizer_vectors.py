"""Token ids of hostile strings by transformers' CLIP tokenizer, for test/pipelines/parts/. Usage: make_tokenizer_vectors.py test/pipelines/parts/tokenizer-vectors.json

A file by name, because the tokenizers library prints notes to standard output.
"""
import json
import random
import sys
from pathlib import Path

from transformers import CLIPTokenizer

root = Path(__file__).resolve().parent.parent
FIXED = [
    "", " ", "a", "A red Circle", "don't we'll I'm he'd they've it's you're", "'S 'T", "  many   spaces\t\n\r here ", "1234567890 3.14",
    "ÄÖÜ ß ẞ é é ﬁ Ǆ İı ŉ", "日本語の猫", "🦊👩‍🚀🏳️‍🌈", "مرحبا بالعالم", "שלום", "नमस्ते", "\u00a0\u2003\u200b\ufeff", "a\u0301\u0323", "!!!???...", "<|endoftext|>",
    "x<|startoftext|>y", "<|endoftext", "$set {a: 1}", "\\n \\", "\x00\x01\x7f", "a_b-c/d", "(word:1.3) [x]", "😀" * 30, "word " * 100, "²³½Ⅷ", "ＦＵＬＬ", "ǅ",
]
ALPHABET = "aAbzé ßı0'9.,!-_<|>\t\n\u00a0日🦊\u0301ñ\u200dمर"
randomness = random.Random(20261124)
strings = FIXED + ["".join(randomness.choice(ALPHABET) for _ in range(randomness.randint(1, 40))) for _ in range(120)]
out = {}
for name, folder in (("clip", root / "test/golden/base/tokenizer"), ("demo", root / "models/demo/tokenizer")):
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    out[name] = [[text, tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids] for text in strings]
    for pair in out[name]:
        # The padding says nothing.
        while len(pair[1]) > 1 and pair[1][-1] == pair[1][-2]:
            pair[1].pop()
Path(sys.argv[1]).write_text(json.dumps(out))
