"""The Core ML executor on a real package; only Core ML's own arithmetic, which macOS alone has, is put in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sensemble_runtime.errors import BundleIncompatibleError, EncoderError

if TYPE_CHECKING:
    from sensemble_runtime.executors.coreml import CoreMLEncoder

WEIGHT = np.arange(8, dtype=np.float32).reshape(2, 4)
Predict = dict[str, Any]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that takes int32 [1, 4] for int64 windows and gives float32 [1, 2]."""
    import coremltools as ct  # only here: each worker reads this file, and it takes 6 s
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - as its manual calls it
    from coremltools.converters.mil.mil import types

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 4), dtype=types.int32)], opset_version=ct.target.iOS17)
    def program(window: object) -> object:
        return mb.linear(x=mb.cast(x=window, dtype="fp32"), weight=WEIGHT, name="embedding")

    model = ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
    model.user_defined_metadata["dtype"] = "int64"
    path = tmp_path_factory.mktemp("coreml") / "encoder.mlpackage"
    model.save(str(path))
    return path


def open_package(package: Path, **options: Any) -> "CoreMLEncoder":  # noqa: ANN401 - as its own
    """Load a package from its bytes alone: the folder may be gone."""
    from sensemble_runtime.executors.coreml import CoreMLEncoder

    files = [file for file in package.rglob("*") if file.is_file()]
    contents = {file.relative_to(package).as_posix(): file.read_bytes() for file in files}
    return CoreMLEncoder(Path("elsewhere") / package.name, contents, **options)


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[Predict]:
    """Keep the inputs of Core ML; compute the product in numpy, in the half precision of its output."""
    seen: list[Predict] = []

    def predict(_: object, given: Predict) -> Predict:
        seen.append(given)
        return {"embedding": (given["window"] @ WEIGHT.T).astype(np.float16)}

    monkeypatch.setattr("coremltools.models.MLModel.predict", predict)
    return seen


def test_token_ids_are_fed_as_int32_and_come_back_as_float32(package: Path, fed: list[Predict]) -> None:
    encoder = open_package(package, threads=2, single=True)
    assert (encoder.dtype, encoder.shape, encoder.embedding) == ("int64", (1, 4), 2)
    window = np.array([[1, 0, 3, 2]], np.int64)
    found = encoder(window)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (window @ WEIGHT.T)[0])
    assert fed[0]["window"].dtype == np.int32


def test_a_failure_while_it_runs_is_an_encoder_error(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the Neural Engine is busy")

    monkeypatch.setattr("coremltools.models.MLModel.predict", fail)
    encoder = open_package(package)
    with pytest.raises(EncoderError, match=r"encoder\.mlpackage: .* busy$"):
        encoder(np.zeros((1, 4), np.int64))


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.mlpackage").mkdir()
    (tmp_path / "none.mlpackage" / "Manifest.json").write_text("{}")
    with pytest.raises(BundleIncompatibleError, match=r"none\.mlpackage: .*does not load it .*; export"):
        open_package(tmp_path / "none.mlpackage")
