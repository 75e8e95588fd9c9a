import pytest

from spark_jobs.errors import JobError
from spark_jobs.ml.as_of import compact, iso, parse_as_of


@pytest.mark.parametrize(
    "text",
    ["2019-11-01T00:00:00Z", "2019-11-01T00:00:00.987+00:00", "2019-11-01T05:30:00+05:30", "2019-10-31T19:00:00-05:00"],
)
def test_a_moment_is_normalised_to_utc_seconds(text: str) -> None:
    assert iso(parse_as_of(text)) == "2019-11-01T00:00:00Z"
    assert compact(parse_as_of(text)) == "20191101T000000Z"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("yesterday", "no ISO 8601"),
        ("", "no ISO 8601"),
        ("2019-11-01T00:00:00", "no time zone"),
        ("2019-11-01", "zone"),
    ],
)
def test_anything_else_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(JobError, match=complaint):
        parse_as_of(text)
