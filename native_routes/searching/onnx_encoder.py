"""A sentence encoder on disk, run by onnxruntime: text -> tokens -> model -> mean of the tokens -> length 1.

Everything here blocks: `local_model.py` calls it in a thread. Nothing is ever downloaded. onnxruntime and tokenizers
are the optional extra `local-model`; they are imported when a model is loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE: Final = "tokenizer.json"
TOKENIZER_CONFIG_FILE: Final = "tokenizer_config.json"
MODEL_FILE: Final = "onnx/model_quantized.onnx"  # Legacy: transformers.js, dtype q8
FILES: Final = (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, MODEL_FILE)
TOKEN_VECTORS: Final = ("last_hidden_state", "logits", "token_embeddings")  # transformers.js looks in this order
CHARACTERS_PER_TOKEN: Final = 8  # more than texts have; too small a number costs a second try
SPACE: Final = re.compile(r"[ \t\n\r]")
ERRORS_ONLY: Final = 3  # onnxruntime's severity


class EncoderError(Exception):
    """The model cannot be used; the message says why."""


class AbsentError(EncoderError):
    """There is no model, or nothing that could run it."""


class Stop:
    """Ends a run from another thread, between two of its steps."""

    def __init__(self) -> None:
        self.asked = False
        self._options: Any = None

    def now(self) -> None:
        self.asked = True
        if self._options is not None:
            self._options.terminate = True

    def listen(self, options: Any) -> Any:
        """The same onnxruntime.RunOptions, of the one run that this stops."""
        self._options = options
        options.terminate = self.asked
        return options


class OnnxEncoder:
    """A loaded model. To be used by one thread at a time."""

    def __init__(
        self, tokenizer: Tokenizer, most_tokens: int | None, session: Any, run_options: Callable[[], Any]
    ) -> None:
        """`session` is an onnxruntime.InferenceSession; `run_options` makes an onnxruntime.RunOptions."""
        self._run_options = run_options
        self._tokenizer = tokenizer
        self._most_tokens = most_tokens
        self._session = session
        self._inputs = [node.name for node in session.get_inputs()]
        outputs = [node.name for node in session.get_outputs()]
        found = [name for name in TOKEN_VECTORS if name in outputs]
        if not found:
            raise EncoderError(f"the model gives {', '.join(outputs)}: expected one of {', '.join(TOKEN_VECTORS)}")
        self._output = found[0]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in a folder laid out as transformers.js keeps it. Takes a second for 140 MB.

        Raises AbsentError, and EncoderError for files that are broken, or not all there yet.
        """
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise AbsentError(f"{folder} has no {missing[0]}")
        try:
            import onnxruntime  # type: ignore[import-untyped]
            from tokenizers import Tokenizer
        except ImportError as error:
            raise AbsentError(f"the extra `local-model` is not installed: {error}") from error
        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            most_tokens = _most_tokens(folder / TOKENIZER_CONFIG_FILE)
            session = onnxruntime.InferenceSession(
                folder / MODEL_FILE, _session_options(onnxruntime), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise classes of their own, some of them plain Exception
            raise EncoderError(f"{folder}: {error}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, most_tokens, session, onnxruntime.RunOptions)

    def encode(self, text: str, stop: Stop) -> NDArray[np.float32]:
        """The vector of a text, shape `(dimensions,)`, length 1. No prefix is added. Raises EncoderError.

        Legacy: one text at a time. In a batch the texts would share the scale to which a quantised model rounds, so
        that a text's numbers would depend on its neighbours.
        """
        try:
            ids = self._tokens(text)
            feeds = {name: self._input(name, len(ids), ids) for name in self._inputs}
            (vectors,) = self._session.run([self._output], feeds, stop.listen(self._run_options()))
        except Exception as error:  # onnxruntime's errors have no class of their own
            raise EncoderError(str(error)) from error
        return _mean_of_length_one(vectors)

    def _tokens(self, text: str) -> list[int]:
        """Legacy: what is too long loses its end, the closing token too.

        Of a long text only as much is read as the model takes: words are apart from each other, so that the beginning
        has the same tokens whatever follows. A text of 1 MB would take seconds.
        """
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        most = self._most_tokens or len(whole)
        reach = most * CHARACTERS_PER_TOKEN
        while True:
            end = _end_of_word(whole, reach)
            encoding = self._tokenizer.encode_batch([whole[:end]])[0]  # unlike `encode` it lets other threads run
            if end == len(whole) or len(encoding.ids) > most:  # the last is the closing token
                return encoding.ids[: self._most_tokens]
            reach *= 4

    def _input(self, name: str, length: int, ids: Sequence[int]) -> NDArray[np.int64]:
        """One input of the model, shape `(1, length)`: a text alone has no padding, and is all first sentence."""
        if name == "input_ids":
            return np.array([ids], dtype=np.int64)
        if name == "attention_mask":
            return np.ones((1, length), dtype=np.int64)
        if name == "token_type_ids":
            return np.zeros((1, length), dtype=np.int64)
        raise EncoderError(f"the model wants {name}, which is no input of a sentence encoder")


def _end_of_word(text: str, position: int) -> int:
    """The first place from `position` on where a word has ended, which is the text's end when it has no such place."""
    found = SPACE.search(text, position)
    return len(text) if found is None else found.start()


def _session_options(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.enable_cpu_mem_arena = False  # it would keep the memory of the longest text there ever was
    # Threads that wait must not spin: beside other work on two cores, 100 short texts took 5 s with it, 0.5 s without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _most_tokens(path: Path) -> int | None:
    """How many tokens the model takes; None when its tokenizer does not say."""
    config = json.loads(path.read_bytes())
    most = config.get("model_max_length") if isinstance(config, dict) else None
    return int(most) if isinstance(most, int | float) and 0 < most < 1e9 else None


def _mean_of_length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(1, tokens, dimensions)` -> `(dimensions,)`. Raises EncoderError when there is no such vector."""
    if vectors.ndim != 3 or vectors.shape[1] == 0:
        raise EncoderError(f"the model gave an array of shape {vectors.shape}: expected (1, tokens, dimensions)")
    mean = vectors[0].mean(axis=0, dtype=np.float64)
    length = float(np.sqrt(mean @ mean))
    if not 0 < length < float("inf"):
        raise EncoderError("the model gave numbers that are none")
    vector: NDArray[np.float32] = (mean / length).astype(np.float32)
    return vector
