"""Kotlin's and Swift's compilers, where they are installed; a test that needs one is skipped without."""

import os
import subprocess
from pathlib import Path

from tests.needs import JSON_JAR, need

_JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # to optimize takes longer than it saves


def kotlin(sources: list[Path], main: str, folder: Path, known: str = str(JSON_JAR)) -> list[str]:
    """Compile for Java with the classes of the path `known`, and return the command that runs it."""
    need("kotlin")
    compiler = [*_JAVA, "-cp", os.environ["KOTLIN_COMPILER"], "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    jar = folder / f"{main}.jar"
    subprocess.run([*compiler, "-include-runtime", "-cp", known, "-d", jar, *sources], check=True)
    return [*_JAVA, "-cp", f"{jar}:{known}", main]


def swift(sources: list[Path], folder: Path) -> list[str]:
    """Compile, and return the command that runs it."""
    need("swift")
    subprocess.run(["swiftc", "-o", folder / "check", *sources], check=True)
    return [str(folder / "check")]
