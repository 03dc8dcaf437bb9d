"""The energy that a machine counts, read from folders as the kernel lays them out; no real one is here."""

import runpy
from pathlib import Path

import pytest

joules = runpy.run_path(str(Path(__file__).parents[2] / "apps" / "benchmarks" / "live_cost.py"))["joules"]


def write(folder: Path, **numbers: int) -> None:
    folder.mkdir(parents=True)
    for name, number in numbers.items():
        (folder / name).write_text(f"{number}\n")


def test_a_machine_without_a_counter(tmp_path: Path) -> None:
    write(tmp_path / "power_supply" / "AC", online=1)
    assert joules(tmp_path) is None


def test_a_battery_that_counts_energy_or_charge(tmp_path: Path) -> None:
    for name, battery in (
        ("energy", {"energy_now": 50_000_000}),
        ("charge", {"charge_now": 5_000_000, "voltage_now": 9_999, "voltage_min_design": 10_000_000}),
    ):
        write(tmp_path / name / "power_supply" / "BAT0", **battery)
        assert joules(tmp_path / name) == pytest.approx(-180_000)  # 50 Wh


def test_each_package_counts_once_and_before_a_battery(tmp_path: Path) -> None:
    for package in (0, 1):
        write(tmp_path / "powercap" / f"intel-rapl:{package}", energy_uj=3_000_000)
        write(tmp_path / "powercap" / f"intel-rapl:{package}:0", energy_uj=1_000_000)  # its cores
    write(tmp_path / "power_supply" / "BAT0", energy_now=50_000_000)
    assert joules(tmp_path) == pytest.approx(6)
