"""Token ids by transformers' CLIP tokenizer where tokens were added to the demo's, for test/pipelines/parts/. Usage:
make_added_token_vectors.py test/pipelines/parts/added-token-vectors.json

Each case says how the demo's tokenizer folder is changed: `files` are written (null: removed), `added` is appended to tokenizer.json's added_tokens.
"""
import json
import shutil
import sys
import tempfile
from pathlib import Path

from transformers import CLIPTokenizer

root = Path(__file__).resolve().parent.parent
demo = root / "models/demo/tokenizer"
START, END = "<|startoftext|>", "<|endoftext|>"
MAP = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
CONFIG = json.loads((demo / "tokenizer_config.json").read_text())
NO_JSON = {"tokenizer.json": None}
TEXTS = [
    "a <toy> circle", "a <TOY> circle", "a<toy>circle", "a  <toy> \t b<toy>c", " <toy> ", "<toy", "a < toy > circle", "ΑΣ <toy> ΣΑΣ",
    "red redder red", "RED red-red red_red 红red réd red́ red1", "redred red", "a! b", "!", "wow!!!", "a [PAD] b [pad]", END, "a" + END + "b", END.upper(),
    START + "x", "<b> <a>", "my  toy my toy MY TOY", "<to> <toy> oy> b <to oy> b", "İ <İ> i̇ <i̇>", "cat " * 90 + "<toy>", "",
]


def token(content, **keys):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": True, "single_word": False, "special": False, **keys}


def decoder(**tokens):
    return {"tokenizer_config.json": {**CONFIG, "added_tokens_decoder": {key.strip("_"): value for key, value in tokens.items()}}}


CASES = [
    ("added_tokens.json beside vocab.json", {**NO_JSON, "added_tokens.json": {"<toy>": 762}}, []),
    ("added_tokens.json beside tokenizer.json", {"added_tokens.json": {"<toy>": 762}}, []),
    ("added in capitals", {**NO_JSON, "added_tokens.json": {"<Toy>": 762, "RED": 763}}, []),
    ("added_tokens_decoder, not normalised", {**NO_JSON, **decoder(_762=token("<toy>", normalized=False))}, []),
    ("added_tokens_decoder beside tokenizer.json", decoder(_762=token("<toy>")), []),
    ("added_tokens_decoder with strips", {**NO_JSON, **decoder(_762=token("<toy>", lstrip=True, rstrip=True, normalized=False))}, []),
    ("added_tokens_decoder with strips, normalised", {**NO_JSON, **decoder(_762=token("<toy>", lstrip=True, rstrip=True))}, []),
    ("added_tokens_decoder beside added_tokens.json", {**NO_JSON, **decoder(_762=token("<b>")), "added_tokens.json": {"<toy>": 763}}, []),
    ("added_tokens_decoder without the flags", {**NO_JSON, **decoder(_762={"content": "<Toy>"})}, []),
    ("a single word in tokenizer.json", {}, [token("red", id=762, single_word=True, normalized=False)]),
    ("a normalised single word in tokenizer.json", {}, [token("Red", id=762, single_word=True)]),
    ("tokenizer.json's own beside added_tokens_decoder", decoder(_762=token("<b>")), [token("<a>", id=763)]),
    ("! fills up", {**NO_JSON, "special_tokens_map.json": {**MAP, "pad_token": "!"}}, []),
    ("! fills up, in the configuration only", {**NO_JSON, "special_tokens_map.json": None, "tokenizer_config.json": {**CONFIG, "pad_token": "!"}}, []),
    ("! fills up, beside tokenizer.json", {"special_tokens_map.json": {**MAP, "pad_token": "!"}}, []),
    ("an unknown token fills up", {**NO_JSON, "special_tokens_map.json": {**MAP, "pad_token": "[PAD]"}}, []),
    ("the marks are normalised", {**NO_JSON, **decoder(_761=token(END, special=True), _760=token(START, special=True))}, []),
    ("special tokens as objects", {**NO_JSON, "special_tokens_map.json": {key: token(value) for key, value in MAP.items()}}, []),
    ("one of them as an object", {**NO_JSON, "special_tokens_map.json": {**MAP, "eos_token": token(END)}}, []),
    ("further special tokens", {**NO_JSON, "special_tokens_map.json": {**MAP, "additional_special_tokens": ["<toy>"]}}, []),
    ("ids out of order", {**NO_JSON, "added_tokens.json": {"<b>": 763, "<a>": 762}}, []),
    ("ids that leave a gap, and one of the vocabulary", {**NO_JSON, "added_tokens.json": {"<toy>": 900, "<a>": 5}}, []),
    ("white space inside", {**NO_JSON, "added_tokens.json": {"my  toy": 762}}, []),
    ("tokens that overlap", {**NO_JSON, "added_tokens.json": {"<to": 762, "<toy>": 763, "oy> b": 764}}, []),
    ("a dotted capital I", {**NO_JSON, "added_tokens.json": {"<İ>": 762}}, []),
    ("another end mark", {**NO_JSON, "special_tokens_map.json": {**MAP, "eos_token": "!"}, "tokenizer_config.json": {**CONFIG, "eos_token": "!"}}, []),
]

out = []
for name, files, added in CASES:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tokenizer"
        shutil.copytree(demo, folder)
        for file, content in files.items():
            (folder / file).unlink(missing_ok=True)
            if content is not None:
                (folder / file).write_text(json.dumps(content))
        if added:
            tokenizer_json = json.loads((folder / "tokenizer.json").read_text())
            tokenizer_json["added_tokens"] += added
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json))
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        ids = [tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids for text in TEXTS]
    for row in ids:
        # The padding says nothing more than its first token.
        while len(row) > 1 and row[-1] == row[-2]:
            row.pop()
    out.append({"name": name, "files": files, "added": added, "vectors": list(zip(TEXTS, ids))})
Path(sys.argv[1]).write_text(json.dumps(out, ensure_ascii=False))
