"""Kotlin's and Swift's compilers; a test names the one that it needs."""

import os
import subprocess
from pathlib import Path

from tests.needs import JSON_JAR

_JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # to optimize takes longer than it saves


def kotlin(sources: list[Path], folder: Path) -> list[str]:
    """Compile for Java, and return the command that runs the class which is appended to it."""
    compiler = [*_JAVA, "-cp", os.environ["KOTLIN_COMPILER"], "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    jar = folder / "all.jar"
    subprocess.run([*compiler, "-include-runtime", "-cp", JSON_JAR, "-d", jar, *sources], check=True)
    return [*_JAVA, "-cp", f"{jar}:{JSON_JAR}"]


def swift(sources: list[Path], folder: Path) -> list[str]:
    """Compile, and return the command that runs it."""
    subprocess.run(["swiftc", "-wmo", "-o", folder / "check", *sources], check=True)
    return [str(folder / "check")]
