"""Front ends inside the graph: raw audio to log-mel, raw video frames to normalized images.

The paper's divide by fixed numbers (Table 6). The relative ones, of derived presets, divide by statistics of
the window, so that neither a microphone's gain nor a camera's exposure matters.

All operations fit one XNNPACK subgraph (products of constant matrices, slices, permutations), for training,
export and the device.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.compliance.kaldi import get_mel_banks

Scales = Sequence[tuple[float, float]]
"""The mean and the deviation of each channel of a series."""

RATE = 16_000  # audio samples a second (paper, Table 6)
MEL_BINS = 128  # of one frame (paper, Table 6)
VIDEO_MEAN, VIDEO_STD = 0.45, 0.225  # of all colours in [0, 1] (paper, Table 6)
HOP = 160  # samples between the starts of two frames: 10 ms
FRAME = 400  # samples: 25 ms

SILENCE = torch.finfo(torch.float32).eps  # mel energy: Kaldi's floor, about the rounding noise of 16 bits
FLOOR = 1e-2  # least energy of the relative log-mel, as a share of the window's mean energy

OUTLIER = 10.0  # deviations, or usual lengths of a vector, beyond which a measurement is cut off

_PREEMPHASIS = 0.97
_FFT = 512
_LOW = 20.0  # Hz, where the first filter begins
_COLUMNS = 16  # the frame is 25 rows of 16 samples, and a hop is 10 rows: one layout serves both
_ROWS = _FFT // _COLUMNS
_TAPS = FRAME // _COLUMNS
_STEP = HOP // _COLUMNS
_HALF = _ROWS // 2 + 1  # distinct points in the DFT of 32 real samples
_GROUP = 8  # mel filters that share one small matrix
_RELATIVE_MEAN, _RELATIVE_STD = -2.0, 2.0  # of the relative log-mel of speech, about
_PLAIN = 2.0  # levels of 255, below which a deviation is not enlarged to 1
_TURNED = 4  # signals of a vector that turning does not change
_LIFT = 2.0  # brings them to about unit scale
_LEAST = 1e-6  # of a square, before its root
_PIECE = 128  # largest steps of a spectrum
_WAVES = 20  # lowest frequencies of a spectrum
_LAGS = 64, 16, 5  # parts of a window, one of which is a lag
_LEVELS = 0.0, 0.02, -0.02, 0.06, -0.06, 0.2, -0.2, 0.6, -0.6, 1.2, -1.2, 2.5, -2.5  # of a signal
_MOVES = 0.02, -0.02, 0.1, -0.1, 0.6, -0.6  # of its changes
_SOFT = 0.04  # about a level of 0, what counts in part
_FAINT = 1e-4  # least variance and power of a signal, in its scale
_AT_ONCE = 2  # recordings: intermediate results stay in a CPU's caches, and are not allocated each time


def frames_of(samples: int) -> int:
    """Return how many whole frames `samples` samples hold (Kaldi's `snip_edges`)."""
    return (samples - FRAME) // HOP + 1


class Spectrum(nn.Module):
    """The base of front ends whose values span more decades than int8 or float16 do."""


class Mel(Spectrum):
    """Kaldi-compatible mel energies of 16 kHz audio.

    Their logarithms equal `torchaudio.compliance.kaldi.fbank(wave, htk_compat=True, sample_frequency=16000,
    use_energy=False, window_type="hamming", num_mel_bins=128, dither=0.0, frame_shift=10)` on audio in [-1,
    1], unscaled. As there, the recording's mean is subtracted first, here only for precision.

    A frame of 512 points (400 and zeros) is laid out in 32 rows and 16 columns, and its DFT is taken in the
    two stages of Cooley and Tukey: down the columns, times the twiddle factors, along the rows. Only 17 of
    the 32 first-stage points are distinct, because the signal is real. The mel filters are bands, so each
    group of them reads only the bins that it covers. A first-stage matrix per column with the twiddle factors
    would save a few sums but double the constants, which is much for an int8 encoder.
    """

    columns: Tensor
    rows: Tensor
    block_means: Tensor
    ones: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, constant in _stages().items():
            self.register_buffer(name, constant.float(), persistent=False)
        means = torch.zeros(2, HOP)
        means[0] = means[1, : FRAME % HOP] = (1 - _PREEMPHASIS) / FRAME
        self.register_buffer("block_means", means, persistent=False)
        self.register_buffer("ones", torch.ones(_COLUMNS, 1), persistent=False)
        bank = _mel_bank()
        self.spans: list[tuple[int, int]] = []
        for group in range(MEL_BINS // _GROUP):
            filters = bank[:, group * _GROUP : (group + 1) * _GROUP]
            used = filters.sum(1).nonzero().flatten() // _HALF
            first, last = int(used.min()) * _HALF, (int(used.max()) + 1) * _HALF
            self.spans.append((first, last))
            self.register_buffer(f"mel{group}", filters[first:last].T.contiguous(), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Map float32 [B, S] in [-1, 1] at 16 kHz to float32 [B, frames_of(S), 128], at least 0."""
        # In a graph, each part would be copied, and a GPU is faster with all at once.
        if wave.device.type == "cpu" and not torch.compiler.is_compiling():
            return torch.cat([self._energies(few) for few in wave.split(_AT_ONCE)])
        return self._energies(wave)

    def _energies(self, wave: Tensor) -> Tensor:
        power = self._power(self._taps(wave)).view(len(wave), -1, _COLUMNS * _HALF)
        mels = [
            functional.linear(power[..., first:last], self.get_buffer(f"mel{group}"))
            for group, (first, last) in enumerate(self.spans)
        ]
        return torch.cat(mels, dim=-1)

    def _taps(self, wave: Tensor) -> Tensor:
        """Map [B, S] to [16, B * frames, 27], the factor of `columns`."""
        batch, samples = wave.shape
        count = frames_of(samples)
        blocks = count + 2
        # XNNPACK takes a mean over the last two of four dimensions only.
        offset = wave.view(batch, 1, 1, samples).mean(dim=(2, 3), keepdim=True).view(batch, 1)
        wave = functional.pad(wave - offset, (0, blocks * HOP - samples))
        mean = functional.linear(wave.view(batch, blocks, HOP), self.block_means)
        mean = mean[:, :-2, :1] + mean[:, 1:-1, :1] + mean[:, 2:, 1:]
        # Pre-emphasis runs over the recording. In Kaldi, a frame's first sample is its own predecessor, so it
        # is one more tap. Pre-emphasis scales the frame's mean by 0.03.
        emphasized = wave - _PREEMPHASIS * functional.pad(wave[:, :-1], (1, 0))
        raw = ((1 - _PREEMPHASIS) * wave).view(batch, blocks, HOP)[:, :count, :_COLUMNS]
        laid = emphasized.view(batch, blocks, _STEP, _COLUMNS).permute(3, 0, 1, 2)
        last = _TAPS - 2 * _STEP
        # XNNPACK does not take an expanded tensor; a product repeats the mean for every column.
        mean = functional.linear(mean, self.ones)
        extra = torch.stack([raw, mean], dim=3).permute(2, 0, 1, 3)
        taps = torch.cat([laid[:, :, :-2], laid[:, :, 1:-1], laid[:, :, 2:, :last], extra], dim=3)
        return taps.view(_COLUMNS, batch * count, _TAPS + 2)

    def _power(self, taps: Tensor) -> Tensor:
        """Map taps of N frames to their power, [N, 272], of bins in the order of `_mel_bank`."""
        # Each result replaces the one before, so that memory stays small.
        count = taps.shape[1]
        x = torch.bmm(taps, self.columns).view(_COLUMNS, count, _HALF, 2).permute(1, 2, 3, 0)
        x = functional.linear(x.reshape(count, _HALF, 2 * _COLUMNS), self.rows)
        x = x * x
        x = (x[..., :_COLUMNS] + x[..., _COLUMNS:]).permute(0, 2, 1)
        return x.reshape(count, _COLUMNS * _HALF)


class LogMel(Mel):
    """Log-mel in natural logarithms, as Table 6's mean and standard deviation are of."""

    def forward(self, wave: Tensor) -> Tensor:
        """See `Mel`."""
        return super().forward(wave).clamp(min=SILENCE).log()


class RelativeLog(nn.Module):
    """The logarithm of mel energies relative to the window's mean, whatever the recording's level."""

    def forward(self, energies: Tensor) -> Tensor:
        """Map mel energies [B, 1, frames, bins], at least 0, to the same shape, of about unit scale."""
        mean = energies.mean(dim=(2, 3), keepdim=True) + SILENCE
        # A difference of logarithms: XNNPACK has no quotient of a matrix and a number.
        relative = (energies + FLOOR * mean).log() - mean.log()
        return (relative - _RELATIVE_MEAN) * (1 / _RELATIVE_STD)


class Motion(Spectrum):
    """Rows of a series as signals on a common scale, and a summary of each signal over the window.

    The signals are the channels, by their mean and deviation over the data (`scales`), outliers cut; four for
    each of the `vectors`, which turning the sensor does not change: its length, its parts along and across
    its mean (of an accelerometer: gravity), and its distance from the mean; and last the `shapes`, the
    channels' moves from their means in the window, over the root of the mean square of all of these: how a
    person moves, however strongly. The summary holds the mean of each signal but the shapes, the logarithms
    of its variance and of its differences' variance, and its log spectrum, averaged over pieces of the window
    (Welch, 1967). It also holds how much of the time the signal, and its changes over three lags, are above
    some levels: like MiniRocket's shares of positive values (Dempster et al., 2021), these tell how a body
    moves and rests.
    """

    mean: Tensor
    inverse: Tensor
    average: Tensor
    changes: Tensor
    sum: Tensor
    levels: Tensor
    levels_steep: Tensor
    moves: Tensor
    moves_steep: Tensor
    waves: Tensor
    welch: Tensor

    def __init__(self, steps: int, scales: Scales, vectors: Sequence[tuple[int, int, int]]) -> None:
        super().__init__()
        mean, deviation = (torch.tensor([column]) for column in zip(*scales, strict=True))
        self.pieces = math.ceil(steps / _PIECE)
        self.summed = len(scales) + _TURNED * len(vectors)
        self.signals = self.summed + len(scales)
        self.size = 1
        if steps > 1:  # the lowered graph has no empty constants
            waves = _waves(steps // self.pieces)
            self.size += 2 + len(waves) // 2
            self.register_buffer("waves", waves, persistent=False)
            self.register_buffer("welch", torch.full((1, self.pieces), 1 / self.pieces), persistent=False)
            self.register_buffer("changes", torch.full((1, steps - 1), 1 / steps), persistent=False)
            self.lags = sorted({max(1, round(steps / part)) for part in _LAGS})
            self.size += len(_LEVELS) + len(self.lags) * len(_MOVES)
            for name, levels in (("levels", _LEVELS), ("moves", _MOVES)):
                level = torch.tensor(levels).view(1, 1, -1, 1)
                steep = 2 / (level.abs() + _SOFT)
                self.register_buffer(name, level * steep, persistent=False)
                self.register_buffer(f"{name}_steep", steep, persistent=False)
            for lag in self.lags:
                left = torch.full((1, steps - lag), 1 / (steps - lag))
                self.register_buffer(f"left{lag}", left, persistent=False)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("inverse", 1 / deviation, persistent=False)
        self.register_buffer("average", torch.full((1, steps), 1 / steps), persistent=False)
        self.register_buffer("sum", torch.ones(1, 3), persistent=False)
        self.vectors = len(vectors)
        lengths = (mean**2 + deviation**2).squeeze(0)
        for number, places in enumerate(vectors):  # its channels, in units of its usual length
            pick = torch.zeros(3, len(scales))
            pick[range(3), list(places)] = 1 / lengths[list(places)].sum().sqrt()
            self.register_buffer(f"vector{number}", pick, persistent=False)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Map float32 [B, T, C] to signals [B, `signals`, T] and a summary [B, `summed`, `size`]."""
        scaled = ((rows - self.mean) * self.inverse).clamp(-OUTLIER, OUTLIER)
        vectors = [functional.linear(rows, self.get_buffer(f"vector{i}")) for i in range(self.vectors)]
        turned = [self._turned(vector.clamp(-OUTLIER, OUTLIER)) for vector in vectors]
        signals = (torch.cat([scaled, *turned], dim=2) if turned else scaled).transpose(1, 2)
        return torch.cat([signals, self._shapes(scaled)], dim=1), self._summary(signals)

    def _shapes(self, scaled: Tensor) -> Tensor:
        """Map channels [B, T, C] to their shapes [B, C, T]."""
        channels = scaled.transpose(1, 2)
        moving = channels - functional.linear(channels, self.average)
        # XNNPACK takes a mean over the last two of four dimensions only.
        batch, count, steps = moving.shape
        power = (moving * moving).reshape(batch, 1, count, steps).mean(dim=(2, 3), keepdim=True)
        power = power.reshape(batch, 1, 1)
        return moving * torch.rsqrt(power + _FAINT)

    def _turned(self, vector: Tensor) -> Tensor:
        """Map a vector [B, T, 3] to [B, T, 4]."""
        mean = functional.linear(vector.transpose(1, 2), self.average)  # [B, 3, 1]
        moved = vector - mean.transpose(1, 2)
        # XNNPACK has products but no sum.
        length, square, moved = (
            functional.linear(x * x, self.sum) for x in (mean.transpose(1, 2), vector, moved)
        )
        along = torch.bmm(vector, mean * torch.rsqrt(length.clamp(min=_LEAST)))
        lengths = torch.cat([square, square - along * along, moved], dim=2).clamp(min=_LEAST).sqrt()
        return _LIFT * torch.cat([along, lengths], dim=2)

    def _summary(self, signals: Tensor) -> Tensor:
        mean = functional.linear(signals, self.average)  # [B, signals, 1]
        if signals.shape[2] == 1:
            return mean
        moving = signals - mean
        steps = moving[:, :, 1:] - moving[:, :, :-1]
        variance = functional.linear(moving * moving, self.average)
        change = functional.linear(steps * steps, self.changes)
        logs = (torch.cat([variance, change, self._power(moving)], dim=2) + _FAINT).log()
        above = [_above(signals, self.levels, self.levels_steep, self.average)]
        for lag in self.lags:
            change = signals[:, :, lag:] - signals[:, :, :-lag]
            above.append(_above(change, self.moves, self.moves_steep, self.get_buffer(f"left{lag}")))
        return torch.cat([mean, logs * (1 / _RELATIVE_STD), *above], dim=2)

    def _power(self, moving: Tensor) -> Tensor:
        batch, signals, steps = moving.shape
        length = self.pieces * self.waves.shape[1]
        if length < steps:  # the lowered graph has no slice of all
            moving = moving[:, :, :length]
        waves = functional.linear(moving.reshape(batch, signals, self.pieces, -1), self.waves)
        squares, half = waves * waves, len(self.waves) // 2
        power = squares[..., :half] + squares[..., half:]
        # XNNPACK takes a mean over the last two of four dimensions only.
        return functional.linear(power.transpose(2, 3), self.welch).flatten(2)


class VideoInput(nn.Module):
    """Scaling, normalization and layout of frames."""

    def forward(self, frames: Tensor) -> Tensor:
        """Map uint8 [B, T, H, W, 3] (RGB) to float32 [B * T, 3, H, W]."""
        images = frames.flatten(0, 1).to(torch.float32).permute(0, 3, 1, 2)
        return images * (1 / (255 * VIDEO_STD)) - VIDEO_MEAN / VIDEO_STD


class ScaledFrames(nn.Module):
    """Pictures of one channel (temperatures, distances) by the mean and deviation of the data."""

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.mean, self.inverse = mean, 1 / deviation

    def forward(self, frames: Tensor) -> Tensor:
        """Map float32 [B, T, H, W, 1] to float32 [B * T, 1, H, W]."""
        batch, times, height, width, _ = frames.shape
        scaled = ((frames - self.mean) * self.inverse).clamp(-OUTLIER, OUTLIER)
        return scaled.view(batch * times, 1, height, width)


class RelativeFrames(nn.Module):
    """Frames by the mean and deviation of the window's own pixels; a plain picture stays plain."""

    def forward(self, frames: Tensor) -> Tensor:
        """Map uint8 [B, T, H, W, 3] (RGB) to float32 [B * T, 3, H, W]; a window has mean 0, deviation 1."""
        batch, times, height, width, colours = frames.shape
        # XNNPACK takes a mean over the last two of four dimensions only.
        pixels = frames.to(torch.float32).reshape(batch, 1, times * height, width * colours)
        pixels = pixels - pixels.mean(dim=(2, 3), keepdim=True)
        variance = (pixels * pixels).mean(dim=(2, 3), keepdim=True)
        pixels = pixels * torch.rsqrt(variance + _PLAIN**2)
        return pixels.view(batch * times, height, width, colours).permute(0, 3, 1, 2)


def _above(signals: Tensor, levels: Tensor, steep: Tensor, average: Tensor) -> Tensor:
    """Map signals [B, S, T] to [B, S, L]: how much of the time they are above (1) or below (-1) levels."""
    # A clamped line, for a comparison has no slope: near the level, noise would decide.
    batch, count, steps = signals.shape
    near = (signals.reshape(batch, count, 1, steps) * steep - levels).clamp(-1, 1)
    return functional.linear(near, average).flatten(2)


def _waves(steps: int) -> Tensor:
    """Return cosines, then sines, of the lowest frequencies of `steps` steps under a Hann window."""
    count = min(_WAVES, steps // 2)
    time, turns = torch.arange(steps, dtype=torch.float64), torch.arange(1, count + 1, dtype=torch.float64)
    angle = 2 * math.pi * turns[:, None] * time / steps
    taper = torch.hann_window(steps, periodic=False, dtype=torch.float64) / math.sqrt(steps)
    return (torch.cat([angle.cos(), angle.sin()]) * taper).float()


def _stages() -> dict[str, Tensor]:
    """Return the constants of the transform, float64.

    `columns` [16, 27, 34] has window, DFT and twiddle factors. For each column, it maps 25 rows, the frame's
    first sample (in column 0 only, where it replaces the first row) and the frame's mean to (real, imaginary)
    of 17 points. `rows` [32, 32]: (real, imaginary) x 16 columns to (real, imaginary) x 16 of `_points`.
    """
    row, column, point = (torch.arange(n, dtype=torch.float64) for n in (_TAPS, _COLUMNS, _HALF))
    window = torch.hamming_window(FRAME, periodic=False, dtype=torch.float64).view(_TAPS, _COLUMNS).T
    # The angle of sample 16 * row + column at a point.
    turns = (_COLUMNS * row[:, None] + column[:, None, None]) * point
    angle = -2 * math.pi * turns / _FFT
    taps = torch.stack([angle.cos(), angle.sin()], dim=3).flatten(2) * window[:, :, None]
    first, mean = torch.zeros_like(taps[:, :1]), -taps.sum(1, keepdim=True)
    first[0], taps[0, 0] = taps[0, :1], 0
    last = -2 * math.pi * _points()[:, None] * column / _COLUMNS
    cos, sin = last.cos(), last.sin()
    return {
        "columns": torch.cat([taps, first, mean], dim=1),
        "rows": torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)]),
    }


def _points() -> Tensor:
    """Return [16] second-stage points, 0, 15, 1, 14 and so on.

    Bins 32 * point + (0 .. 16) of a point and the mirror images of the next one's then follow each other.
    """
    forward = torch.arange(_COLUMNS // 2)
    return torch.stack([forward, _COLUMNS - 1 - forward], dim=1).flatten()


def _mel_bank() -> Tensor:
    """Return Kaldi's triangular filters, [16 * 17, 128], for bins in the order of the spectrum."""
    bins = _ROWS * _points()[:, None] + torch.arange(_HALF)
    bins = torch.minimum(bins, _FFT - bins)
    counted = torch.zeros(_FFT // 2 + 1, dtype=torch.bool)
    once = torch.zeros(bins.numel())
    for position, index in enumerate(bins.flatten().tolist()):
        once[position] = not counted[index] and index < _FFT // 2  # Kaldi gives the Nyquist bin no weight
        counted[index] = True
    filters = get_mel_banks(MEL_BINS, _FFT, RATE, _LOW, RATE / 2, 0, 0, 1)[0].T  # [256, 128]
    return functional.pad(filters, (0, 0, 0, 1))[bins.flatten()] * once[:, None]
