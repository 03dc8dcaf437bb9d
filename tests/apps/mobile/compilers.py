"""Kotlin's and Swift's compilers; a test names the one that it needs."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.needs import JSON_JAR

_JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # to optimize takes longer than it saves


def installed(language: str) -> Path:
    """Return the file of a compiler, which differs with its version."""
    return Path(
        os.environ["KOTLIN_COMPILER"] if language == "kotlin" else shutil.which("swiftc") or ""
    ).resolve()


def kotlin(sources: list[Path], folder: Path) -> None:
    """Compile into a folder for Java."""
    command = [*_JAVA, "-cp", installed("kotlin"), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    jar = folder / "all.jar"
    subprocess.run([*command, "-include-runtime", "-cp", JSON_JAR, "-d", jar, *sources], check=True)


def java(folder: Path, name: str) -> list[str]:
    """Return the command that runs a class of a folder into which `kotlin` compiled."""
    return [*_JAVA, "-cp", f"{folder / 'all.jar'}:{JSON_JAR}", name]


def swift(sources: list[Path], folder: Path) -> None:
    """Compile into a folder, as the command `check`."""
    subprocess.run(["swiftc", "-wmo", "-o", folder / "check", *sources], check=True)
