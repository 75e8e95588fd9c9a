import sys
from pathlib import Path

# What Airflow's side keeps in the document store is tried here, too.
sys.path.append(str(Path(__file__).resolve().parents[2] / "plugins"))
