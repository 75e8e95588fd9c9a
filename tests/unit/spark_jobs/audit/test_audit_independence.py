"""The oracle shares no code with what it judges."""

import subprocess
import sys

SCRIPT = """
import sys
sys.modules["pyspark"] = None  # importing it fails from here on
from spark_jobs.audit import compare, enrich, recompute, validate
shared = [name for name in sys.modules if name.startswith("spark_jobs.") and not name.startswith("spark_jobs.audit")]
assert not shared, shared
"""


def test_it_imports_neither_pyspark_nor_other_modules_of_the_jobs() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})
