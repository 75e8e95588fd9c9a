import pytest

from shopstream.links import root_path, run_page
from shopstream.templates import quality_page


@pytest.mark.parametrize(
    ("base", "page"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/plugin/data-quality/quality/run?id=r1"),
        ("https://host/", "https://host/plugin/data-quality/quality/run?id=r1"),
        ("https://host/airflow/", "https://host/airflow/plugin/data-quality/airflow/quality/run?id=r1"),
    ],
)
def test_a_run_has_its_page_inside_the_ui(monkeypatch: pytest.MonkeyPatch, base: str, page: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    assert run_page("r1") == page


def test_the_id_is_as_the_job_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://h")
    assert quality_page("manual__2026-03-01T12:00:00+00:00").endswith("run?id=manual__2026-03-01T12_00_00_00_00")
    assert run_page("a b&c").endswith("run?id=a%20b%26c")
    assert root_path() == ""
