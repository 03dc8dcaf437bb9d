"""`sensemble web`: write a static site that runs a bundle in a browser, or learns classes there."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from sensemble_apps.commands.train import encoder_choice
from sensemble_apps.console.output import say
from sensemble_apps.console.progress import stages
from sensemble_apps.errors import InputError
from sensemble_apps.options import Folder, OptionalBundle, Positional, Texts, Trusting
from sensemble_apps.web.site import check_place, write_site

if TYPE_CHECKING:
    from sensemble_train.recipe.instant import FrozenEncoders

_SECONDS, _FRAMES = 2.0, 4  # of a window of encoders that learn on the page


@dataclass(frozen=True, kw_only=True)
class Web(Trusting):
    """Write a static site that runs a bundle in a browser or on a phone, offline once it was opened.

    Without a bundle, the page learns your own classes from a few takes, on pretrained encoders. Any server
    can host it; a camera or microphone needs HTTPS, or localhost. The sensors' data stay in the browser.
    """

    bundle: Positional[OptionalBundle] = None
    """A bundle folder. In the folder of its run, unsigned, it first gets encoders for ONNX Runtime if it has
    none."""
    encoder: Annotated[Texts, "MODALITY=SOURCE"] = ()
    """Without a bundle, the pretrained encoder of a modality, as in `sensemble train --encoder`. By default,
    the installed ones of `whisper-tiny.en`, `efficientnet-lite0` and `minilm`."""
    out: Folder
    """The folder of the site; an older site in it is replaced."""


def main(arguments: Web) -> None:
    """Write the site of a bundle, or of encoders."""
    if arguments.bundle is not None:
        if arguments.encoder:
            raise InputError("--encoder: only without a bundle; leave one of them out")
        write_site(arguments.bundle, arguments.out, arguments.trust)
    else:
        sources = dict(map(encoder_choice, arguments.encoder))
        check_place(arguments.out)  # what follows takes a minute
        with TemporaryDirectory() as folder, stages() as advance:
            advance("load", 0, 1)  # PyTorch
            from sensemble_export import export_encoders

            frozen = _frozen(sources)
            advance("load", 1, 1)
            advance("export", 0, 2 * len(frozen.specs))  # each is lowered, and measured
            bundle = Path(folder, "bundle")
            export_encoders(frozen, bundle, partial(advance, "export"))
            write_site(bundle, arguments.out)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file()) / 1e6
    say(
        f"{arguments.out}: {size:.1f} MB; try it with `python -m http.server -d {arguments.out}` and "
        "http://localhost:8000"
    )


def _frozen(sources: dict[str, str]) -> "FrozenEncoders":
    from dataclasses import replace

    from sensemble_sensors.spec import KNOWN, Modality
    from sensemble_train.models.kinds.registry import kind_of
    from sensemble_train.models.model_config import ModelConfig
    from sensemble_train.models.pretrained.sources import NAMES, side
    from sensemble_train.recipe.instant import FrozenEncoders

    if not sources:  # of each kind that has an encoder, the modality that is named first
        first = {kind: m for m, kind in reversed(KNOWN.items())}
        sources = {first[each.kind]: name for name, each in NAMES.items() if each.installed}
    if not sources:
        raise InputError("no pretrained encoder is installed; name one, as --encoder audio=whisper-tiny.en")
    specs = {}
    for m, source in sources.items():
        modality = Modality(m)
        shape = kind_of(modality).fit(ModelConfig(seconds=_SECONDS), modality, (), source)
        # No dataset says the number of frames and their size.
        shape = replace(shape, frames=_FRAMES, side=side(source) // 16 * 16)
        specs[m] = kind_of(modality).spec(modality, shape, hop=_SECONDS / 4)
    return FrozenEncoders(sources, specs)
