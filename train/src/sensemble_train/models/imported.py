"""A model that was trained elsewhere: `package.module:factory` returns its encoders and its head."""

from collections.abc import Iterator

import torch
from sensemble_sensors.kinds.registry import kind_of

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.model import Description, Model
from sensemble_train.models.pretrained.sources import MODEL, Trained, trained


def imported_model(source: str) -> Model:
    """Return the model of the factory `source`; raises ConfigurationError if its parts do not fit."""
    outside = trained(source)
    for problem in _problems(outside):
        raise ConfigurationError(f"--model {source}: {problem}")
    size, classes = outside.head.in_features, outside.head.out_features
    words = outside.tokenizer.get_vocab_size() if outside.tokenizer else 0
    bare = EncoderConfig(0, 0, 0, size, vocabulary=words, source=f"{MODEL}:{source}", project=False)
    description = Description(
        dict(outside.specs), dict.fromkeys(outside.specs, bare), tuple(outside.labels), outside.task
    )
    model = Model(description, outside.tokenizer)
    norm, linear = model.head.norm, model.head.linear
    with torch.no_grad():  # a norm that changes nothing
        assert norm.running_var is not None  # noqa: S101 - tracked, as by default
        norm.running_var.fill_(1 - norm.eps)
        linear.weight.copy_(outside.head.weight)
        linear.bias.copy_(outside.head.state_dict().get("bias", torch.zeros(classes)))  # it may have none
    return model.eval()


def _problems(outside: Trained) -> Iterator[str]:
    """Yield misfits, in words."""
    if not outside.specs or outside.encoders.keys() != outside.specs.keys():
        yield f"encoders of {sorted(outside.encoders)} and specs of {sorted(outside.specs)}"
    for modality, spec in outside.specs.items():
        if spec.modality != modality:
            yield f"the spec of {modality} is one of {spec.modality}"
        yield from (f"{modality}: {problem}" for problem in kind_of(spec).spec_problems(spec))
    if outside.head.out_features != len(outside.labels):
        yield f"a head of {outside.head.out_features} classes and {len(outside.labels)} labels"
    if outside.tokenizer is None and any(kind_of(spec).tokenized for spec in outside.specs.values()):
        yield "it reads text; give its tokenizer"
