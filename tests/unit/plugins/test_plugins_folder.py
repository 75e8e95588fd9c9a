"""What Airflow makes of the plugins folder."""

import importlib
import warnings
from pathlib import Path

from airflow.sdk._shared.module_loading import find_path_from_directory
from airflow_for_tests import PLUGINS


def test_airflow_imports_no_module_of_the_package_under_a_bare_name() -> None:
    """It would: `config`, `base`, `store` and the like would be visible everywhere, and imported by every process."""
    found = {Path(path).relative_to(PLUGINS).as_posix() for path in find_path_from_directory(PLUGINS, ".airflowignore")}
    assert {name for name in found if name.endswith(".py")} == {"airflow_local_settings.py", "shopstream_plugin.py"}


def test_airflows_own_deprecation_is_kept_out_of_task_logs() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        importlib.reload(importlib.import_module("airflow_local_settings"))
        list(find_path_from_directory(PLUGINS, ".airflowignore"))
    assert [warning for warning in caught if "GitWildMatchPattern" in str(warning.message)] == []
