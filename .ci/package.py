"""What an installation takes: every extra resolves with constraints.txt, and the wheel holds what it should."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def main() -> None:
    """Fail at what a person who installs ptheta would run into."""
    extras = set(PROJECT["project"]["optional-dependencies"]) - set(PROJECT["tool"]["ptheta"]["without-constraints"])
    wanted = f"{ROOT}[{','.join(sorted(extras))}]"
    # What the environment holds already is resolved, too, but not fetched again.
    subprocess.run([*PIP, "install", "-q", "--dry-run", "-c", ROOT / "constraints.txt", wanted], check=True)
    print(f"resolved with constraints.txt: {', '.join(sorted(extras))}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*PIP, "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", "ptheta"], cwd=ROOT, check=True, capture_output=True, text=True)
    missing = sorted({"ptheta/py.typed", *tracked.stdout.split()} - held)
    if missing:
        sys.exit(f"the wheel lacks {', '.join(missing)}")
    print(f"the wheel holds all {len(held)} files")


if __name__ == "__main__":
    main()
