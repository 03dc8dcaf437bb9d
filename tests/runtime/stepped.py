"""A live set that encodes at once: an engine without its turns."""

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine import live_set
from sensemble_runtime.engine.live_set import PoppedWindow, Teaching, WindowEmbedding
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.window_encoder import WindowEncoder


class LiveSet(live_set.LiveSet):
    """A live set and its encoders."""

    def __init__(self, bundle: Bundle, policy: Policy | None = None, adapter: Teaching | None = None) -> None:
        super().__init__(bundle, policy, adapter)
        self._encode = WindowEncoder(bundle, policy or Policy())

    def encode(self, popped: PoppedWindow) -> WindowEmbedding:
        return self._encode(popped)

    def step(self, now: float) -> Prediction | None:
        """Encode the newest window of each modality and predict; None if none was encoded or is live."""
        return self.fuse([self.encode(self.pop_window(m)) for m in self.ready], now)
