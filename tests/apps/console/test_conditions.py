"""Conditions as the command line names them."""

import pytest
from sensemble_apps.console.conditions import parse_applied, parse_conditions
from sensemble_apps.errors import InputError
from sensemble_apps.running.inputs import FORM
from sensemble_sensors.kinds.conditions.condition import SEVERITIES, Applied
from sensemble_sensors.kinds.registry import kind_of


def test_an_audit_takes_all_severities_or_all_conditions_of_a_sensor() -> None:
    every = sum(len(kind_of(spec).conditions) for spec in FORM.values()) * len(SEVERITIES)
    assert len(parse_conditions("all", FORM)) == every
    found = parse_conditions("microphone=quiet,camera=dark:3,camera=dark:3", FORM)
    assert [(a.modality, a.condition.name, a.severity) for a in found if isinstance(a, Applied)] == [
        *(("audio", "quiet", severity) for severity in SEVERITIES),
        ("video", "dark", 3),
    ]
    assert parse_conditions("captions", FORM) == parse_conditions("text", FORM)
    assert parse_conditions("all", {"video": FORM["video"]}) == parse_conditions(
        "camera", {"video": FORM["video"]}
    )


def test_sensors_joined_with_a_plus_are_struck_at_once() -> None:
    (both,) = parse_conditions("microphone+camera=swapped:5", FORM)
    assert isinstance(both, tuple)
    assert [(a.modality, a.condition.name, a.severity) for a in both] == [
        ("audio", "swapped", 5),
        ("video", "swapped", 5),
    ]
    common = parse_conditions("microphone+camera", FORM)
    assert {a.condition.name for both in common if isinstance(both, tuple) for a in both} == {
        "noise", "gaps", "clock", "swapped",
    }  # fmt: skip
    with pytest.raises(InputError, match="no condition 'dark' of microphone"):
        parse_conditions("microphone+camera=dark:5", FORM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("microphone=quiet", "add a severity of 1 to 5"),
        ("radar=quiet:3", "no sensor 'radar'; it has microphone or audio, "),
        ("captions=loud:3", "no condition 'loud' of captions; there are dropped, misspelt"),
        ("audio=quiet:6", "no severity 6; give 1 (slight) to 5 (severe)"),
        ("audio:3", "no sensor 'audio:3'"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_applied(text, FORM)
    assert str(refused.value).startswith(f"--condition {text}: ")
    assert message in str(refused.value)
