"""Kotlin's and Swift's compilers, where they are installed; a test that needs one is skipped without."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

JSON_JAR = Path("/usr/share/java/com.android.json.jar")


def kotlin(sources: list[Path], main: str, folder: Path) -> list[str]:
    """Compile for Java, and return the command that runs it."""
    compiler = _kotlinc()
    if not JSON_JAR.exists():
        pytest.skip("needs libandroid-json-java")
    version = subprocess.run([*compiler, "-version"], capture_output=True, text=True, check=True).stderr
    if int((re.findall(r"kotlinc-jvm (\d+)", version) or ["0"])[0]) < 2:
        pytest.skip("needs a kotlinc from 2.0")
    jar = folder / "check.jar"
    subprocess.run([*compiler, "-include-runtime", "-cp", JSON_JAR, "-d", jar, *sources], check=True)
    return ["java", "-cp", f"{jar}:{JSON_JAR}", main]


def _kotlinc() -> list[str]:
    """Return the compiler's command: the jar that KOTLIN_COMPILER names, as in CI, or the installed one."""
    if jar := os.environ.get("KOTLIN_COMPILER"):
        return ["java", "-cp", jar, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    if (compiler := shutil.which("kotlinc")) is None:
        pytest.skip("needs kotlinc, or KOTLIN_COMPILER with the path of kotlin-compiler.jar")
    return [compiler]


def swift(sources: list[Path], folder: Path) -> list[str]:
    """Compile, and return the command that runs it."""
    compiler = shutil.which("swiftc")
    if compiler is None:
        pytest.skip("needs swiftc")
    subprocess.run([compiler, "-o", folder / "check", *sources], check=True)
    return [str(folder / "check")]
