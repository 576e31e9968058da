#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/data/tokenizers: small tokenizers of each family, and what the published libraries make of 10,000 texts.

    make tests/golden/texts && tests/golden/texts > texts.bin                          (in the build tree)
    python tests/golden/make_tokenizers.py texts.bin SHARED                                 (SHARED: see tests/support.h)

Run by hand, with tokenizers 0.23 and sentencepiece 0.2.3. A tokenizer is a head (HEAD.json) whose "@vocab" and "@merges" are
those of a model that several heads share. In golden.txt a line is: tokenizer, block of 100 texts, hash of their ids, hash of
what the ids decode to.
"""
import io
import json
import os
import struct
import sys

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "tokenizers")
LLAMA3 = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
          "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
QWEN2 = LLAMA3.replace("{N}{1,3}", "{N}")
TEKKEN = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
          "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
          "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
BYTES, PIECES = 640, 700


def read_texts(path):
    data, texts = open(path, "rb").read(), []
    while data:
        n = struct.unpack("<I", data[:4])[0]
        texts.append(data[4:4 + n].decode())
        data = data[4 + n:]
    return texts


def fnv(data, h):
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def hashes(ids, texts):
    h = d = 0xCBF29CE484222325
    for row, text in zip(ids, texts):
        h = fnv(struct.pack("<%di" % (len(row) + 1), len(row), *row), h)
        text = text.encode()
        d = fnv(struct.pack("<I", len(text)) + text, d)
    return "%016x %016x" % (h, d)


# ---- models

def train_bytes(texts):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=BYTES, show_progress=False,
                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(t.to_str())["model"]
    return model["vocab"], [" ".join(m) for m in model["merges"]]


def train_pieces(texts, **kwargs):
    out = io.BytesIO()
    lines = [line for text in texts for line in text.replace("\0", "").splitlines() if line.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=PIECES, character_coverage=1.0,
        normalization_rule_name="identity", minloglevel=2, max_sentence_length=1 << 20, num_threads=1,
        split_by_unicode_script=False, **kwargs)
    return out.getvalue()


def merges_of(sp):
    """The merges that rank as the pieces' scores do: each way to put a piece together of two, best part first."""
    vocab = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    merges = []
    for i in range(sp.get_piece_size()):
        piece = sp.id_to_piece(i)
        if sp.is_control(i) or sp.is_unknown(i) or sp.is_byte(i):
            continue
        pairs = [(piece[:k], piece[k:]) for k in range(1, len(piece)) if piece[:k] in vocab and piece[k:] in vocab]
        merges += [(-sp.get_score(i), i, vocab[a], vocab[b], a, b) for a, b in pairs]
    return vocab, [[m[4], m[5]] for m in sorted(merges)]


# ---- heads

def added(i, content, **kwargs):
    return dict({"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                 "normalized": False, "special": True}, **kwargs)


def template(*before):
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    a, b = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    return {"type": "TemplateProcessing", "single": [piece(n) for n, _ in before] + [a],
            "pair": [piece(n) for n, _ in before] + [a] + [b],
            "special_tokens": {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in before}}


BYTE_DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def byte_level(use_regex=True, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def sequence(kind, *members):
    return {"type": "Sequence", kind: list(members)}


def split(pattern, behavior, regex=True, invert=False):
    return {"type": "Split", "pattern": {"Regex" if regex else "String": pattern}, "behavior": behavior,
            "invert": invert}


def head(tokens, normalizer, pre, post, decoder, **model):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder,
            "model": dict({"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                           "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                           "ignore_merges": False}, **model, vocab="@vocab", merges="@merges")}


def byte_heads(vocab):
    n = len(vocab)
    odd = [added(n + 1, "<lstrip>", lstrip=True), added(n + 2, "<rstrip>", rstrip=True),
           added(n + 3, "<word>", single_word=True, special=False), added(n + 4, "[INST]"),
           added(n + 5, "\n\n", special=False), added(n + 6, "<norm al>", normalized=True, special=False)]
    bos = ("<|begin_of_text|>", n)
    many = [added(n + i, s) for i, s in enumerate(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>"] + ["<extra_%d>" % i for i in range(40)])]
    return {
        "gpt2": head([added(n, "<|endoftext|>")], None, byte_level(), byte_level(), BYTE_DECODER),
        "gpt2-spaced": head([added(n, "<|endoftext|>")], None, byte_level(add_prefix_space=True), byte_level(),
                            BYTE_DECODER),
        "llama3": head([added(n, bos[0])] + odd, None,
                       sequence("pretokenizers", split(LLAMA3, "Isolated"), byte_level(False)),
                       sequence("processors", byte_level(), template(bos)), BYTE_DECODER, ignore_merges=True),
        "smollm": head(many, None, sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level()),
                       None, BYTE_DECODER),
        "qwen2": head([added(n, "<|endoftext|>"), added(n + 1, "<|im_start|>"), added(n + 2, "<tool_call>", special=False),
                       added(n + 3, "u\u0308\u0301", normalized=True, special=False), added(n + 4, "o\u0308")],
                      {"type": "NFC"}, sequence("pretokenizers", split(QWEN2, "Isolated"), byte_level(False)), byte_level(),
                      BYTE_DECODER),
        "tekken": head([added(n, "<s>")] + odd, None,
                       sequence("pretokenizers", split(TEKKEN, "Isolated"), byte_level(False)),
                       template(("<s>", n)), BYTE_DECODER, ignore_merges=True),
    }


def piece_heads(vocab):
    n = len(vocab)
    base = [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]
    more = base + [added(vocab["[INST]"], "[INST]"), added(n, "<norm al>", normalized=True, special=False),
                   added(n + 1, "<lstrip>", lstrip=True, special=False), added(n + 2, "<rstrip>", rstrip=True),
                   added(n + 3, "<word>", single_word=True), added(n + 4, "x\n", special=False),
                   added(n + 5, "\u2581\u2581\u2581", special=False)]
    to_block = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    to_space = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    meta = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    fallback, fuse = {"type": "ByteFallback"}, {"type": "Fuse"}
    bytes_ = dict(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    decoder = sequence("decoders", to_space, fallback, fuse, strip)
    whole = sequence("decoders", to_space, fallback, fuse)
    return {
        "llama2": head(base, sequence("normalizers", {"type": "Prepend", "prepend": "\u2581"}, to_block), None,
                       template(("<s>", 1)), decoder, **bytes_),
        "mistral": head(more, None, meta, template(("<s>", 1)), decoder, **bytes_),
        "gemma": head(more, to_block, split(" ", "MergedWithPrevious", regex=False), template(("<s>", 1)), whole, **bytes_),
        "words": head(more, None, dict(meta, prepend_scheme="always", split=True), None,
                      dict(meta, prepend_scheme="always", split=True), unk_token="<unk>", fuse_unk=False),
        "fused": head(base, None, sequence("pretokenizers", {"type": "WhitespaceSplit"},
                                           {"type": "Digits", "individual_digits": False},
                                           dict(meta, prepend_scheme="never", split=True)), None,
                      sequence("decoders", to_space, fuse), unk_token="<unk>", fuse_unk=True),
        "removed": head(base, sequence("normalizers", {"type": "Replace", "pattern": {"Regex": "[\\r\\n]+"}, "content": " "},
                                       to_block),
                        sequence("pretokenizers", split("\u2581", "MergedWithNext", regex=False),
                                 split("\\p{P}", "Removed"), split("[a-m]+", "Contiguous"), split("\\d", "Isolated")),
                        None, whole, **bytes_),
        "inverted": head(base, to_block, sequence("pretokenizers", split("[^\u2581]+", "MergedWithPrevious", invert=True),
                                                  split("\\p{Lu}(?=\\p{Ll})", "MergedWithNext"),
                                                  split("\\w+|\\W", "Removed", invert=True)),
                         None, whole, ignore_merges=True, **bytes_),
    }


# ---- the whole

def json_rows(t, texts):
    ids = [e.ids for e in t.encode_batch(texts, add_special_tokens=False)]
    return ids, [t.decode(row) for row in ids]


def sp_rows(sp, texts):
    ids = [sp.encode(text) for text in texts]
    return ids, [sp.decode(row) for row in ids]


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def write(name, data):
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def main():
    texts, shared = read_texts(sys.argv[1]), sys.argv[2]
    os.makedirs(OUT, exist_ok=True)
    every_third, rows = texts[::3], {}
    whole = {"bytes": train_bytes(every_third)}
    few = [t for i, t in enumerate(texts) if i % 12 in (0, 1, 5, 9)]  # of few characters
    pieces = {
        "llama": train_pieces(few, byte_fallback=True, add_dummy_prefix=True, remove_extra_whitespaces=False),
        "gemma": train_pieces(few, byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
                              control_symbols=["<bos>", "<eos>"],
                              user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n\n"] +
                              ["\u2581" * n for n in range(2, 17)]),
        "trimmed": train_pieces(few, byte_fallback=False, add_dummy_prefix=True, remove_extra_whitespaces=True,
                                user_defined_symbols=["[INST]", " x"]),
    }
    for name, data in pieces.items():
        write(name + ".model", data)
        rows["sp-" + name] = sp_rows(sentencepiece.SentencePieceProcessor(model_proto=data), texts)
    whole["pieces"] = merges_of(sentencepiece.SentencePieceProcessor(model_proto=pieces["llama"]))
    for model, (vocab, merges) in whole.items():
        write(model + "-vocab.json", compact(vocab))
        write(model + "-merges.json", compact(merges))
        for name, h in (byte_heads if model == "bytes" else piece_heads)(vocab).items():
            text = compact(h)
            write(name + ".json", text)
            text = text.replace('"@vocab"', compact(vocab)).replace('"@merges"', compact(merges))
            rows[name] = json_rows(Tokenizer.from_str(text), texts)
    gpt2 = os.path.join(shared, "data", "tokenizers", "gpt2")
    t = Tokenizer(models.BPE.from_file(os.path.join(gpt2, "vocab.json"), os.path.join(gpt2, "merges.txt")))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(["<|endoftext|>"])
    rows["real-gpt2"] = json_rows(t, texts)
    llama = os.path.join(shared, "data", "tokenizers", "llama", "tokenizer.model")
    rows["real-llama"] = sp_rows(sentencepiece.SentencePieceProcessor(model_file=llama), texts)
    lines = []
    for name, (ids, decoded) in rows.items():
        for b in range(0, len(texts), 100):
            lines.append("%s %d %s\n" % (name, b // 100, hashes(ids[b:b + 100], decoded[b:b + 100])))
    write("golden.txt", "".join(lines))
    if len(sys.argv) > 3:  # every id, to compare line by line
        for name, (ids, decoded) in rows.items():
            with open(os.path.join(sys.argv[3], name + ".rows"), "w") as f:
                for row, text in zip(ids, decoded):
                    f.write(json.dumps([row, text]) + "\n")


main()
