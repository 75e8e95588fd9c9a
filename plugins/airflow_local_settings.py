"""Airflow's hook for settings that its configuration cannot express. Airflow has this folder on its module path."""

from __future__ import annotations

import warnings

# Airflow reads `.airflowignore` with a class that its library has renamed, and says so at the top of every task log.
warnings.filterwarnings("ignore", message="GitWildMatchPattern", category=DeprecationWarning)
