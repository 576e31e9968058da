#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/data/bpe.gguf, qwen2.gguf and spm.gguf, three small tokenizers, and print the ids that the tokenizers and
sentencepiece packages give for the texts of tests/test_tokenizer_gguf.c.

  python3 tests/golden/gguf_tokenizers.py              (needs gguf, tokenizers, sentencepiece)
  python3 tests/golden/gguf_tokenizers.py MODEL.gguf   ids of a real model with merges, for tests/test_gguf_real.c
"""
import io
import json
import os
import sys

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
TEXTS = [
    "the cat sat on the mat",
    "  Emma gave 1234 books\n\tto   Victor.",
    "naïve façade, 東京 🙂",
    "<|end|>the<|end|> cat<s>",
    "",
]
CORPUS = ["the cat sat on the mat", "the dog and the cat gave the book to Emma", "Victor sat on the book 12 34"] * 20


def pre_tokenizer():
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def c_string(s):
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\' else f"\\{b:03o}" for b in s.encode()) + '"'


def show(name, encode, texts=TEXTS):
    print(f"/* {name} */")
    for text in texts:
        ids = encode(text)
        print(f"    {{{c_string(text)}, {len(ids)}, {{{', '.join(map(str, ids))}}}}},")


def bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    path = os.path.join(DATA, "bpe.gguf")
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    w = gguf.GGUFWriter(path, "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens)
    w.add_token_types([3 if t == "<|end|>" else 1 for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    w.add_add_bos_token(False)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    show("bpe.gguf", lambda s: tokenizer.encode(s).ids)


QWEN2 = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
MARKED = ["It'S 2024: the cat's\r\n\r\n  hat!!\n", "nai\u0308ve fac\u0327ade \u1100\u1161\u11a8",
          "<|end|>the<tool> cat [PAD0]"]


def qwen2():
    """As the converter writes them: a user-defined token beside the special one, and unused ones up to the model's width."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS + ["It's the na\u00efve cat's hat!!\n\n"] * 20, trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    w = gguf.GGUFWriter(os.path.join(DATA, "qwen2.gguf"), "qwen2")
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(vocab, key=vocab.get)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens + ["[PAD%d]" % i for i in range(3)])
    w.add_token_types([3 if t == "<|end|>" else 4 if t == "<tool>" else 1 for t in tokens] + [5, 5, 5])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]])
    w.add_eos_token_id(vocab["<|end|>"])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    show("qwen2.gguf", lambda s: tokenizer.encode(s).ids, TEXTS[:3] + MARKED)


def spm():
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=out, model_type="bpe", vocab_size=320, byte_fallback=True,
        hard_vocab_limit=False, normalization_rule_name="identity", remove_extra_whitespaces=False,
        user_defined_symbols=["<|end|>"], minloglevel=2,
    )
    p = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    tokens, scores, types = [], [], []
    for i in range(p.vocab_size()):
        tokens.append(p.id_to_piece(i).encode())
        scores.append(p.get_score(i))
        kind = 2 if p.is_unknown(i) else 3 if p.is_control(i) else 5 if p.is_unused(i) else 6 if p.is_byte(i) else 1
        types.append(4 if tokens[-1] == b"<|end|>" else kind)
    w = gguf.GGUFWriter(os.path.join(DATA, "spm.gguf"), "llama")
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(types)
    w.add_bos_token_id(p.bos_id())
    w.add_eos_token_id(p.eos_id())
    w.add_unk_token_id(p.unk_id())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    show("spm.gguf", lambda s: [p.bos_id()] + p.encode(s))


def real(path):
    fields = gguf.GGUFReader(path).fields
    strings = lambda key: [bytes(fields[key].parts[i]).decode() for i in fields[key].data]
    tokens = strings("tokenizer.ggml.tokens")
    types = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    merges = [tuple(m.split(" ")) for m in strings("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizer()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    show(os.path.basename(path), lambda s: tokenizer.encode(s).ids, TEXTS[:3] + ["<|im_start|>user\nHi<|im_end|>"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        real(sys.argv[1])
    else:
        bpe()
        qwen2()
        spm()
