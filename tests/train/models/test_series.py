"""Series in training: the window and the scale that fit the data, the encoder, random changes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import welch
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import DERIVED, AugmentConfig
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.frontend import Motion
from sensemble_train.models.infer_spec import describe, small
from sensemble_train.models.kinds.registry import KINDS
from sensemble_train.models.kinds.series import SeriesEncoder, lose, turn, warp
from sensemble_train.models.model import Model, load_model, save_model
from sensemble_train.models.model_config import ModelConfig
from torch import Tensor, nn
from torch.nn import functional

KIND = KINDS["series"]
AXES = tuple(f"{kind}{axis}" for kind in "ag" for axis in "xyz")


def spec_of(steps: int, channels: int, rate: float = 10) -> InputSpec:
    named = tuple(Channel(name) for name in (*AXES, *"uvw")[:channels])
    window = steps / rate
    return InputSpec(
        "imu", "float32", (1, steps, channels), rate, window, window, 2 * window, "series", named
    )


def made(steps: int, channels: int) -> tuple[SeriesEncoder, EncoderConfig]:
    spec = spec_of(steps, channels)
    config = replace(small({"imu": spec})["imu"], scales=((3.0, 2.0),) * channels)
    torch.manual_seed(0)
    encoder = KIND.encoder(spec, config).eval()
    assert isinstance(encoder, SeriesEncoder)
    return encoder, config


@pytest.mark.parametrize(("steps", "channels"), [(100, 6), (29, 1), (8, 2), (1, 1), (400, 9), (3200, 3)])
def test_a_window_of_any_length_gives_a_unit_embedding(steps: int, channels: int) -> None:
    encoder, _ = made(steps, channels)
    rows = 3 + 2 * torch.randn(5, steps, channels)
    embeddings = encoder(rows)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(torch.cat([encoder(row[None]) for row in rows]), embeddings, atol=1e-5, rtol=0)


def test_the_unit_of_the_data_does_not_matter_and_an_outlier_is_cut_off() -> None:
    encoder, config = made(50, 6)
    scaled = SeriesEncoder(spec_of(50, 6), replace(config, scales=((3000.0, 2000.0),) * 6)).eval()
    scaled.load_state_dict(encoder.state_dict())
    rows = 3 + 2 * torch.randn(4, 50, 6)
    torch.testing.assert_close(scaled(1000 * rows), encoder(rows), atol=1e-4, rtol=0)
    wild = rows.clone()
    wild[:, 3, 2] = 1e30
    assert torch.isfinite(encoder(wild)).all()


def test_vectors_are_turned_and_other_channels_left_alone() -> None:
    rows = torch.randn(8, 20, 7)
    turned = turn(rows, 180, ((0, 1, 2), (3, 4, 5)))
    torch.testing.assert_close(turned[..., 6], rows[..., 6])
    for place in (0, 3):
        both = (x[..., place : place + 3] for x in (turned, rows))
        before, after = (x.norm(dim=2) for x in both)
        torch.testing.assert_close(before, after)
    assert (turned[..., :6] - rows[..., :6]).abs().max() > 0.1
    assert turn(rows, 180, ()) is rows


def test_turning_the_sensor_leaves_four_signals_of_a_vector_as_they_were() -> None:
    scales = ((1.0, 2.0), (0.0, 1.0), (9.0, 3.0), (400.0, 50.0))
    motion = Motion(80, scales, ((0, 1, 2),))
    rows = torch.tensor([mean for mean, _ in scales]) + torch.randn(5, 80, 4)
    signals, summary = motion(rows)
    assert (signals.shape, summary.shape) == ((5, 12, 80), (5, 8, motion.size))
    axes = rows[:, :, :3]
    down = axes.mean(dim=1, keepdim=True)
    along = (axes * down).sum(dim=2) / down.norm(dim=2)
    expected = torch.stack(
        [along, axes.norm(dim=2), (axes.norm(dim=2) ** 2 - along**2).sqrt(), (axes - down).norm(dim=2)], dim=1
    )
    usual = sum(mean**2 + deviation**2 for mean, deviation in scales[:3]) ** 0.5
    torch.testing.assert_close(signals[:, 4:8] * usual / 2, expected, atol=1e-3, rtol=1e-4)
    turned, summed = motion(turn(rows, 180, ((0, 1, 2),)))
    torch.testing.assert_close(turned[:, 3:8], signals[:, 3:8], atol=1e-3, rtol=1e-3)
    assert (summed - summary)[:, :3].abs().max() > 0.1


@pytest.mark.parametrize(("steps", "piece"), [(100, 100), (300, 100), (255, 127)])
def test_the_summary_holds_welchs_spectrum(steps: int, piece: int) -> None:
    rows = torch.randn(3, steps, 2, dtype=torch.float64)
    _, summary = Motion(steps, ((0.0, 1.0),) * 2, ())(rows.float())
    moved = (rows - rows.mean(dim=1, keepdim=True)).numpy()
    taper = np.hanning(piece)
    _, power = welch(moved, window=taper, nperseg=piece, noverlap=0, detrend=False, axis=1)
    expected = np.log(power[:, 1:21] * (taper**2).sum() / 2 / piece + 1e-4) / 2  # a density, of both sides
    np.testing.assert_allclose(summary[:, :, 3:23], expected.transpose(0, 2, 1), atol=1e-3)


def test_the_summary_tells_how_much_of_the_time_a_signal_and_its_changes_are_above_levels() -> None:
    """Of a body at rest, means and spectra say nothing of a leap that lasts a tenth of the window."""
    rows = torch.zeros(1, 100, 1)
    rows[:, 20:30] = 5
    _, summary = Motion(100, ((0.0, 1.0),), ())(rows)
    levels, *moves = summary[0, 0, 23:].split([13, 6, 6, 6])
    assert levels[[7, 9, 11]].tolist() == pytest.approx([-0.8] * 3), "above 0.2, 0.6 or 1.2 in a tenth"
    assert levels[[8, 10, 12]].tolist() == pytest.approx([1.0] * 3), "above the negative ones all the time"
    for lag, changes in zip((2, 6, 20), moves, strict=True):
        length = min(lag, 10) / (100 - lag)
        assert changes[4:].tolist() == pytest.approx([2 * length - 1, 1 - 2 * length])


def test_a_run_of_rows_is_lost_and_the_row_before_repeated() -> None:
    ramp = torch.arange(50.0)[None, :, None].repeat(400, 1, 2)
    lost = lose(ramp, 0.5)
    repeated = (lost.diff(dim=1) == 0).any(dim=2).sum(dim=1)
    assert 0.3 < float((repeated > 0).float().mean()) < 0.6
    assert repeated.max() <= 26
    assert (lost <= ramp).all()
    torch.testing.assert_close(lose(ramp, 0.0), ramp)


def test_time_is_stretched_and_moved_within_the_window() -> None:
    ramp = torch.linspace(0, 1, 50)[None, :, None].repeat(200, 1, 2)
    warped = warp(ramp, 0.2, 0.3)
    assert (warped.diff(dim=1) >= -1e-6).all()
    assert (warped.amin() >= 0, warped.amax() <= 1) == (True, True)
    assert warped[:, 25, 0].std() > 0.02
    torch.testing.assert_close(warp(ramp, 0.0, 0.0), ramp)


def test_changes_are_off_at_zero_and_relative_to_the_scale() -> None:
    _, config = made(50, 6)
    rows = 3 + 2 * torch.randn(64, 50, 6)
    assert KIND.augment(rows, AugmentConfig(), config, None) is rows
    changed = KIND.augment(rows, AugmentConfig(grain=0.1), config, None)
    noise = (changed - rows).std(dim=(1, 2)) / 2
    assert 0.02 < float(noise.max()) < 0.2
    assert float(noise.median()) < 0.01, "what is faint is heard in most examples"
    backgrounds = KIND.backgrounds(spec_of(50, 6), config, 30, torch.Generator())
    assert backgrounds.shape == (30, 50, 6)
    assert abs(float(backgrounds.mean()) - 3) < 1


def write(folder: Path, lengths: list[int], rate: float) -> Path:
    """Write examples of two classes with rows of these lengths, CSV with and without times."""
    rng, lines = np.random.default_rng(0), []
    for i, length in enumerate(lengths):
        rows = 100 + 7 * rng.standard_normal((length, 1))
        times = np.arange(length)[:, None] / rate
        header, table = ("time,co2", np.hstack([times, rows])) if i % 2 else ("co2", rows)
        text = [header, *(",".join(map(str, row)) for row in table.tolist())]
        (folder / f"{i}.csv").write_text("\n".join(text) + "\n")
        split = "eval" if i % 5 == 4 else "train"
        lines.append(
            json.dumps({"id": str(i), "split": split, "labels": ["ab"[i % 2]], "air": f"{i}.csv"}) + "\n"
        )
    (folder / "index.jsonl").write_text("".join(lines))
    (folder / "modalities.json").write_text(
        json.dumps({"air": {"kind": "series", "rate": rate, "channels": ["co2"]}})
    )
    return folder


@pytest.mark.parametrize(
    ("rate", "lengths", "steps"),
    [(1.0, [7, 29, 12, 20, 60] * 4, 29), (100.0, [50, 5000] * 10, 800), (0.5, [400] * 20, 256)],
)
def test_the_window_is_as_long_as_the_longest_example_within_bounds(
    tmp_path: Path, rate: float, lengths: list[int], steps: int
) -> None:
    description = describe(read_dataset(write(tmp_path, lengths, rate)))
    spec = description.specs["air"]
    assert (spec.shape, spec.rate, spec.window) == ((1, steps, 1), rate, steps / rate)
    assert spec.hop <= spec.window <= spec.ttl
    ((mean, deviation),) = description.configs["air"].scales
    assert mean == pytest.approx(100, abs=2)
    assert deviation == pytest.approx(7, abs=1)
    model = Model(description, None).eval()
    save_model(model, tmp_path / "model")
    rows = {"air": torch.full((2, steps, 1), 100.0)}
    torch.testing.assert_close(load_model(tmp_path / "model")(rows), model(rows))


def test_a_series_without_a_rate_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [10] * 10, 1.0)
    (tmp_path / "modalities.json").write_text('{"air": {"kind": "series", "channels": ["co2"]}}')
    with pytest.raises(ConfigurationError, match=r"air: a series needs its rate"):
        describe(read_dataset(tmp_path), ModelConfig())


def quick_turns(count: int, weakest: float, strongest: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows [N, 100, 3] and classes of turns: quick there and slow back, or slow there and quick back."""
    draw = torch.Generator().manual_seed(seed)
    classes, time = torch.arange(count) % 2, torch.linspace(0, 1, 100)
    there, back = (math.pi * time / 0.25).sin(), -(math.pi * (time - 0.25) / 0.75).sin() / 3
    turn_of = torch.where(time < 0.25, there, back)
    shown = torch.where(classes[:, None] == 0, turn_of, -turn_of.flip(0))
    moved = torch.arange(100) + torch.randint(100, (count, 1), generator=draw)
    strength = weakest + (strongest - weakest) * torch.rand(count, 1, 1, generator=draw)
    rows = shown.gather(1, moved % 100)[:, :, None] * torch.tensor([1.0, 0.5, -0.3])
    return strength * (rows + 0.02 * torch.randn(rows.shape, generator=draw)), classes


def test_the_order_of_turns_is_known_of_a_person_who_turns_less_than_all_before() -> None:
    """By the scale of the data alone, a fifth of the strength was named by chance."""
    (rows, classes), (weak, expected) = quick_turns(320, 0.5, 2, 0), quick_turns(200, 0.1, 0.2, 1)
    scales = tuple((0.0, float(deviation)) for deviation in rows.flatten(0, 1).std(dim=0))
    spec = spec_of(100, 3, 50)
    config = replace(small({"imu": spec})["imu"], scales=scales, vectors=())
    torch.manual_seed(0)
    learned = nn.Sequential(KIND.encoder(spec, config), nn.Linear(128, 2))
    adamw = torch.optim.AdamW(learned.parameters(), 1e-3)
    for _ in range(120):
        some = torch.randint(len(rows), (32,))
        loss = functional.cross_entropy(
            8 * learned(KIND.augment(rows[some], DERIVED, config, None)), classes[some]
        )
        adamw.zero_grad()
        loss.backward()
        adamw.step()
    with torch.no_grad():
        assert (learned.eval()(weak).argmax(dim=1) == expected).float().mean() > 0.9
