"""The smallest sentence encoder there can be, on disk: every token has a vector of its own, which nothing changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS: Final = ("[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "black")
TABLE: Final = np.random.default_rng(5).standard_normal((len(WORDS), 4)).astype(np.float32)  # a row for each word


def write_lookup_model(folder: Path, *, most_tokens: int | None = None, output: str = "last_hidden_state") -> None:
    """Over what is there. Vectors have four numbers. Like BERT's, its tokenizer puts [CLS] before and [SEP] behind."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    config = {} if most_tokens is None else {"model_max_length": most_tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    onnx.save(_model(output), folder / "onnx" / "model_quantized.onnx")


def mean_vector(*words: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the encoder is to give for these tokens: their mean, made one long."""
    mean = np.mean([TABLE[WORDS.index(word)].astype(np.float64) for word in words], axis=0)
    vector: np.ndarray[tuple[int], np.dtype[np.float64]] = mean / np.linalg.norm(mean)
    return vector


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


def _model(output: str) -> onnx.ModelProto:
    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"]) for name in names]
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], [output])],
        "lookup",
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", "tokens", TABLE.shape[1]])],
        [numpy_helper.from_array(TABLE, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
