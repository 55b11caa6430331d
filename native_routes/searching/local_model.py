"""Legacy's own embedding model in this process: loaded when first asked for, run in a thread, one text at a time.

Where it is not installed or fails, the caller does what legacy does then: it asks an Ollama. Nothing is downloaded.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from native_routes.searching.embedders import EmbedderState
from native_routes.searching.embedding_failures import EmbeddingError
from native_routes.searching.onnx_encoder import MODEL_FILE, AbsentError, EncoderError, OnnxEncoder, Stop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODELS_FOLDER: Final = ".models"  # in the home
MODEL: Final = "nomic-ai/nomic-embed-text-v1.5"
DIMENSIONS: Final = 768
MOST_WAITING: Final = 256  # texts; one takes 5 to 50 ms, so that more would not be answered in time
LOOK_AGAIN_S: Final = 10.0  # for a model that was not there: legacy may be downloading it
COOL_S: Final = 60.0  # after a failure

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LocalModelStatus:
    """`off`: not installed; `warming`: nobody has asked yet, or it is being loaded; `cooling`: it failed, and is tried
    again after a minute. `problem` says why it does not answer."""

    state: EmbedderState
    problem: str | None = None


class LocalModel:
    """One for the process. Takes no memory and no thread until a text is given."""

    def __init__(self, models_path: Path, *, dimensions: int = DIMENSIONS) -> None:
        """`models_path` is legacy's `<home>/.models`. A model of other `dimensions` is not used."""
        self._folder = models_path / MODEL
        self._dimensions = dimensions
        self._thread = ThreadPoolExecutor(1, "local-model")
        self._can_run = all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers"))
        self._encoder: OnnxEncoder | None = None
        self._running: set[Stop] = set()
        self._rests_until = 0.0  # monotonic
        self._status = LocalModelStatus(EmbedderState.WARMING)

    @property
    def status(self) -> LocalModelStatus:
        return self._status

    @property
    def is_legacys_alone(self) -> bool:
        """The model is here, and nothing here can run it: legacy does, in its own process."""
        return not self._can_run and (self._folder / MODEL_FILE).is_file()

    async def embed(self, text: str, within_s: float) -> NDArray[np.float32] | None:
        """The vector of a text, of length 1; None when the model is not here or fails, as `status` then says.

        Raises EmbeddingError when it is here, but has no time. Differs: legacy waits for as long as it takes.
        """
        if time.monotonic() < self._rests_until:
            return None
        if len(self._running) >= MOST_WAITING:
            raise EmbeddingError(f"{MOST_WAITING} texts wait for the local model already")
        stop = Stop()
        self._running.add(stop)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, text, stop)
        except TimeoutError as error:
            raise EmbeddingError(f"the local model did not answer within {within_s:g} s") from error
        finally:
            self._running.discard(stop)
            stop.now()

    async def close(self) -> None:
        """End what runs; who waits gets None, and so does who asks from now on."""
        self._rests_until = float("inf")
        for stop in tuple(self._running):
            stop.now()
        self._thread.shutdown(wait=False)

    # ---- on the thread

    def _answer(self, text: str, stop: Stop) -> NDArray[np.float32] | None:
        if stop.asked or time.monotonic() < self._rests_until:
            return None
        try:
            if self._encoder is None:
                self._encoder = self._load()
            return self._encoder.encode(text, stop)
        except AbsentError as error:
            self._rest(EmbedderState.OFF, LOOK_AGAIN_S, str(error))
        except EncoderError as error:
            if not stop.asked:
                self._rest(EmbedderState.COOLING, COOL_S, str(error))
        return None

    def _load(self) -> OnnxEncoder:
        encoder = OnnxEncoder.load(self._folder)
        length = len(encoder.encode("test", Stop()))
        if length != self._dimensions:
            raise EncoderError(f"{self._folder} makes vectors of {length} numbers: expected {self._dimensions}")
        self._note(LocalModelStatus(EmbedderState.READY))
        return encoder

    def _rest(self, state: EmbedderState, for_s: float, problem: str) -> None:
        self._rests_until = max(self._rests_until, time.monotonic() + for_s)
        self._note(LocalModelStatus(state, problem))

    def _note(self, status: LocalModelStatus) -> None:
        """Every change is logged, once: from here on another answers for the provider `native`."""
        if status == self._status:
            return
        self._status = status
        tell = log.warning if status.state is EmbedderState.COOLING else log.info
        tell("local_model", state=status.state.value, problem=status.problem)
