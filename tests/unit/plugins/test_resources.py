import pytest
from airflow_for_tests import REPOSITORY

from shopstream.resources import DEFAULTS, KINDS, Resources, ResourcesError, read_overrides


def test_every_job_of_a_dag_has_a_kind() -> None:
    text = "".join(path.read_text() for path in (REPOSITORY / "dags").glob("*.py"))
    jobs = {path.stem for path in (REPOSITORY / "spark_jobs" / "jobs").glob("*.py")}
    for job in jobs:
        if f'job="{job}"' in text or f'job_task("{job}"' in text.replace("\n        ", ""):
            assert job in KINDS
    assert set(KINDS) - {"stream_driver", "stream_executor"} <= jobs
    assert set(KINDS.values()) == set(DEFAULTS)


def test_memory_is_reserved_and_the_limit_and_the_heap_fits() -> None:
    resources = Resources("500m", 2, "2Gi")
    assert resources.manifest() == {
        "requests": {"cpu": "500m", "memory": "2Gi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    }
    assert (resources.memory_mb, resources.heap_mb) == (2048, 1228)
    assert Resources("1", 1, "512Mi").memory_mb == 512


def test_a_job_wins_over_its_kind_and_both_over_the_defaults() -> None:
    overrides = read_overrides('{"training": {"memory": "8Gi", "cores": 3}, "churn": {"memory": "9Gi"}}')
    assert Resources.of("features", overrides) == Resources("1", 3, "8Gi")
    assert Resources.of("churn", overrides) == Resources("1", 3, "9Gi")
    assert Resources.of("validate", overrides) == DEFAULTS["quality"]
    assert read_overrides('{"validate": {"memory": "64Mi"}, "ingestion": {"memory": "64Mi"}}')
    assert Resources.of("a_job_of_tomorrow", overrides) == DEFAULTS["ingestion"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"churm": {}}', "'churm' is no job or kind"),
        ('{"churn": 3}', "churn: 3 is no object"),
        ('{"churn": {"memory": "8G"}}', "churn: memory='8G' is not allowed"),
        ('{"churn": {"memory": "767Mi"}}', "memory='767Mi'"),
        ('{"stream_driver": {"memory": "64Mi"}}', "memory='64Mi'"),
        ('{"validate": {"memory": "8Mi"}}', "memory='8Mi'"),
        ('{"churn": {"cpu": 2}}', "cpu=2"),
        ('{"churn": {"cores": 0}}', "cores=0"),
        ('{"churn": {"cores": true}}', "cores=True"),
        ('{"churn": {"gpu": 1}}', "gpu=1"),
    ],
)
def test_a_malformed_override_is_named(text: str, message: str) -> None:
    with pytest.raises(ResourcesError) as caught:
        read_overrides(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_overrides_nothing() -> None:
    assert read_overrides("") == {}
