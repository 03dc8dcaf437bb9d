"""Read conditions from the command line, and write them in words."""

from collections.abc import Iterator, Mapping
from itertools import chain

from sensemble_runtime.auditing.conditions import JointCondition
from sensemble_sensors.kinds.conditions.condition import SEVERITIES, Applied, Condition
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec, devices

from sensemble_apps.console.kinds import display_of, words_of
from sensemble_apps.console.wording import sensor_title
from sensemble_apps.errors import InputError

ALL = "all"
_LEAST, _MOST = SEVERITIES[0], SEVERITIES[-1]


def parse_applied(text: str, specs: Mapping[str, InputSpec]) -> list[Applied]:
    """Return the conditions that `--condition` names, with their severities: `microphone=quiet:3`.

    A sensor is named by its modality or, for all of its kind or device, by the word for these.
    """
    for part in text.split(","):
        if ":" not in part:
            raise InputError(f"--condition {text}: add a severity of {_LEAST} to {_MOST}, such as {part}:3")
    found = parse_conditions(text, specs, "--condition")
    return [a for one in found for a in ((one,) if isinstance(one, Applied) else one)]


def parse_conditions(
    text: str, specs: Mapping[str, InputSpec], option: str = "--conditions"
) -> list[Applied | JointCondition]:
    """Return the conditions that `audit --conditions` names: `all`, or `microphone=quiet,camera=dark:3`.

    A condition without a severity stands for all five of them; a sensor alone for all of its conditions.
    Sensors joined with `+`, or those of a device, are degraded at once: `microphone+camera=swapped:5`. Errors
    begin with `option`.
    """
    if text == ALL:
        return [a for spec in specs.values() for a in _all(spec)]
    return list(dict.fromkeys(one for part in text.split(",") for one in _degradations(part, specs, option)))


def described(applied: Applied) -> str:
    """Return a condition in words: `microphone under quiet:3 (20 dB quieter, floor -70 dB)`."""
    return f"{sensor_title(applied.modality)} under {applied}"


def _all(spec: InputSpec) -> Iterator[Applied]:
    for condition in kind_of(spec).conditions:
        for severity in SEVERITIES:
            yield Applied(spec.modality, condition, severity)


def _degradations(
    text: str, specs: Mapping[str, InputSpec], option: str
) -> Iterator[Applied | JointCondition]:
    sensors, equals, rest = text.partition("=")
    sensors = "+".join("+".join(devices(specs).get(s, (s,))) for s in sensors.split("+"))
    each = [parse_condition(f"{s}{equals}{rest}", specs, option) for s in sensors.split("+")]
    if len(each) == 1:
        yield from each[0]
        return
    every = {a.modality for applied in each for a in applied}
    by_name: dict[tuple[str, int], dict[str, Applied]] = {}
    for a in chain.from_iterable(each):
        by_name.setdefault((a.condition.name, a.severity), {})[a.modality] = a
    yield from (tuple(one.values()) for one in by_name.values() if one.keys() == every)


def parse_condition(text: str, specs: Mapping[str, InputSpec], option: str) -> list[Applied]:
    """Return the conditions of `microphone=quiet` or `microphone=quiet:3`; errors begin with `option`."""
    sensor, _, rest = text.partition("=")
    name, colon, severity = rest.partition(":")
    meant = _meant(sensor, specs, f"{option} {text}")
    if colon and not name:  # else it would be every condition, at once in a run
        raise InputError(f"{option} {text}: name a condition before the colon")
    if colon and severity not in map(str, SEVERITIES):
        raise InputError(
            f"{option} {text}: no severity {severity}; give {_LEAST} (slight) to {_MOST} (severe)"
        )
    return [
        Applied(modality, condition, each)
        for modality in meant
        for condition in _named(name, specs[modality], f"{option} {text}")
        for each in ([int(severity)] if severity else SEVERITIES)
    ]


def _meant(sensor: str, specs: Mapping[str, InputSpec], where: str) -> list[str]:
    meant = [m for m, spec in specs.items() if sensor in (m, words_of(m).sensor, display_of(spec).sensor)]
    meant = meant or list(devices(specs).get(sensor, ()))
    if not meant:
        known = ", ".join([*(f"{words_of(m).sensor} or {m}" for m in specs), *devices(specs)])
        raise InputError(f"{where}: the bundle has no sensor {sensor!r}; it has {known}")
    return meant


def _named(name: str, spec: InputSpec, where: str) -> tuple[Condition, ...]:
    known = kind_of(spec).conditions
    named = tuple(condition for condition in known if name in ("", condition.name))
    if not named:
        names = ", ".join(condition.name for condition in known)
        raise InputError(
            f"{where}: no condition {name!r} of {words_of(spec.modality).sensor}; there are {names}"
        )
    return named
