"""Kotlin's and Swift's compilers, where they are installed; a test that needs one is skipped without."""

import os
import subprocess
from pathlib import Path

from tests.needs import JSON_JAR, need


def kotlin(sources: list[Path], main: str, folder: Path) -> list[str]:
    """Compile for Java, and return the command that runs it."""
    need("kotlin")
    compiler = ["java", "-cp", os.environ["KOTLIN_COMPILER"], "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    jar = folder / "check.jar"
    subprocess.run([*compiler, "-include-runtime", "-cp", JSON_JAR, "-d", jar, *sources], check=True)
    return ["java", "-cp", f"{jar}:{JSON_JAR}", main]


def swift(sources: list[Path], folder: Path) -> list[str]:
    """Compile, and return the command that runs it."""
    need("swift")
    subprocess.run(["swiftc", "-o", folder / "check", *sources], check=True)
    return [str(folder / "check")]
