"""Encode windows as an engine orders: at once, or in a thread of each modality."""

import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from sensemble_sensors.kinds.registry import kind_of

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.live_set import PoppedWindow, WindowEmbedding
from sensemble_runtime.engine.scheduler import Policy


class WindowEncoder:
    """Encodes windows with a bundle; safe from several threads, one for each modality."""

    def __init__(self, bundle: Bundle, policy: Policy) -> None:
        bundle.threads = policy.threads
        self._bundle = bundle

    def __call__(self, popped: PoppedWindow) -> WindowEmbedding:
        """Encode a window."""
        modality, data = popped.modality, popped.window.data
        self._bundle.load(modality)  # before the clock starts, so that loading is not counted as latency
        began = time.perf_counter()
        level = kind_of(self._bundle.specs[modality]).level(data)
        embedding = self._bundle.encode(modality, data)
        latency = time.perf_counter() - began
        end, ring = popped.window.time, popped.ring
        return WindowEmbedding(modality, popped.sensor, embedding, end, latency, ring, False, level)


class EncoderThread:
    """The thread of one modality's encoder, so that a slow encoder does not delay a quick one.

    `done` and `failed` are called in the thread with the outcome of each window.
    """

    def __init__(
        self,
        modality: str,
        encode: Callable[[PoppedWindow], WindowEmbedding],
        done: Callable[[WindowEmbedding], None],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._modality, self._encode, self._done, self._failed = modality, encode, done, failed
        self._windows: SimpleQueue[PoppedWindow | None] = SimpleQueue()
        self.thread = Thread(target=self._run, name=f"sensemble {modality} encoder", daemon=True)
        self.thread.start()

    def put(self, window: PoppedWindow) -> None:
        """Encode a window, after those that wait."""
        self._windows.put(window)

    def end(self) -> None:
        """Let the thread end after its window."""
        self._windows.put(None)

    def _run(self) -> None:
        while (window := self._windows.get()) is not None:
            try:
                encoded = self._encode(window)
            except BaseException as error:  # noqa: BLE001 - what one encoder raises must not end the others
                self._failed(self._modality, error)
            else:
                self._done(encoded)
