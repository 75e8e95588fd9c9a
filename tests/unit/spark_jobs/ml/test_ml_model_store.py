"""Where fitted models are kept: the data folder, or what a URI names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import SparkSession

from spark_jobs.errors import JobError
from spark_jobs.ml.model_store import ModelStore

MOMENT = datetime(2019, 11, 1, 6, tzinfo=UTC)
PATH = "models/segments/20191101T060000Z"


def config(tmp_path: Path, uri: str = "") -> Any:
    return SimpleNamespace(data_dir=tmp_path, models_uri=uri)


def fitted(spark: SparkSession, largest: float) -> PipelineModel:
    numbers = spark.createDataFrame([(0.0,), (largest,)], "number double")
    assembler = VectorAssembler(inputCols=["number"], outputCol="raw")
    return Pipeline(stages=[assembler, StandardScaler(inputCol="raw", outputCol="scaled")]).fit(numbers)


def scale(pipeline: PipelineModel | None) -> float:
    assert pipeline is not None
    return float(pipeline.stages[1].std[0])  # type: ignore[attr-defined]


@pytest.mark.parametrize("uri", ["", "file://{}/elsewhere"])
def test_a_model_is_found_again_until_it_is_deleted(spark: SparkSession, tmp_path: Path, uri: str) -> None:
    store = ModelStore.open(config(tmp_path, uri.format(tmp_path)))
    assert list(store.moments()) == []
    assert store.load(PATH) is None
    model = fitted(spark, 1.0)
    assert store.save(model, "segments", MOMENT) == PATH
    assert scale(store.load(PATH)) == scale(model)
    assert list(store.moments()) == [(MOMENT, PATH)]
    root = tmp_path / ("elsewhere" if uri else "models")
    assert (root / "segments" / "20191101T060000Z" / "metadata").is_dir()
    store.delete(PATH)
    assert list(store.moments()) == []
    assert not [path for path in tmp_path.iterdir() if path != root]


def test_a_second_run_of_a_moment_replaces_its_model(spark: SparkSession, tmp_path: Path) -> None:
    store = ModelStore.open(config(tmp_path))
    for largest in (1.0, 5.0):
        store.save(fitted(spark, largest), "segments", MOMENT)
    assert scale(store.load(PATH)) == scale(fitted(spark, 5.0))


def test_other_folders_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "models" / "segments" / "mine").mkdir(parents=True)
    assert list(ModelStore.open(config(tmp_path)).moments()) == []


@pytest.mark.parametrize("uri", ["models", "ftp://host/models", "s3://"])
def test_a_uri_that_cannot_be_used(tmp_path: Path, uri: str) -> None:
    with pytest.raises(JobError, match=r"SHOPSTREAM_MODELS_URI='.*' is not usable: "):
        ModelStore.open(config(tmp_path, uri))


def test_a_store_that_refuses(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ModelStore.open(config(tmp_path, f"file://{tmp_path}/file"))
    with pytest.raises(OSError, match=r"cannot write a model to file://.*/segments/"):
        store.save(fitted(spark, 1.0), "segments", MOMENT)
