"""20,000 damaged files of every kind: no traceback, no end of the process, no hang, no flood of memory."""

import subprocess
import sys
from pathlib import Path


def test_mutants_of_every_form_end_in_an_answer_or_in_one_line():
    script = Path(__file__).with_name("fuzz.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    assert "20,000 mutants" in done.stdout
