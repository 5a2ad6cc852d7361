"""Whether all that requirements.txt installs, and what that needs in turn, is there as wheels for
the Pythons and the processors of AWS Glue and EMR Serverless: `make wheels`.

It asks the package index that pip is set up with, and keeps nothing. The exit code is 1 when
something is missing; docs/scale-out.md has what was found.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

from tests.support.places import ROOT

PYTHONS = ("3.11", "3.13")  # Glue 5.1; Glue 6.0
PROCESSORS = ("x86_64", "aarch64")
# The oldest systems (by their glibc) that are tried, in this order.
GLIBCS = ("2014", "_2_17", "_2_28", "_2_34")
_GLIBC = re.compile(r"manylinux_2_(\d+)_")


def download(python: str, processor: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Have pip fetch the wheels of one Python and processor, and nothing that would be built."""
    tag = f"cp{python.replace('.', '')}"
    options = [word for abi in (tag, "abi3", "none") for word in ("--abi", abi)]
    for glibc in GLIBCS:
        options += ["--platform", f"manylinux{glibc}_{processor}"]
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"),
            *("--disable-pip-version-check", "--implementation", "cp"),
            *("--python-version", python, *options),
            *("--dest", str(directory), "--requirement", str(ROOT / "requirements.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def glibc_of(wheel: str) -> int:
    """The minor version of glibc that a wheel needs; 0 for one that needs none. It may name
    several that it runs with."""
    found = [int(minor) for minor in _GLIBC.findall(wheel)]
    return min([*found, *([17] if "manylinux2014" in wheel else [])], default=0)


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Look, and say so in a line each."""
    missing = 0
    for processor, python in product(PROCESSORS, PYTHONS):
        with tempfile.TemporaryDirectory() as directory:
            ended = download(python, processor, Path(directory))
            wheels = sorted(path.name for path in Path(directory).iterdir())
        if ended.returncode:
            missing += 1
            errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
            say(f"Python {python}, {processor}: {errors[0] if errors else ended.stderr}")
            continue
        newest = max(map(glibc_of, wheels))
        wanting = [each.partition("-")[0] for each in wheels if glibc_of(each) == newest > 17]
        said = f" ({', '.join(wanting)})" if wanting else ""
        say(f"Python {python}, {processor}: {len(wheels)} wheels, glibc 2.{newest} or newer{said}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
