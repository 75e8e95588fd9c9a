"""Fitted pipelines in a folder or an object store, each under a path of its model and moment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyarrow import fs
from pyspark.ml import PipelineModel

from spark_jobs.config import Config
from spark_jobs.errors import JobError
from spark_jobs.ml.as_of import compact, parse_compact

# How a record names a pipeline, wherever the store is: records of a pod and of a laptop are alike.
PREFIX = "models"
# What the names of folders begin with that a pipeline passes through.
SCRATCH = ".model-"


@dataclass(frozen=True)
class ModelStore:
    """The pipelines of all models and moments: `<root>/<model>/<moment>`.

    Attributes:
        uri: The root as configured, for messages.
        files: Access to the file system or object store that holds it.
        root: The root's path there.
        scratch: A folder that Spark can write to and read from, executors on other machines included.
    """

    uri: str
    files: fs.FileSystem
    root: str
    scratch: Path

    @classmethod
    def open(cls, config: Config) -> ModelStore:
        """Open the store at `SHOPSTREAM_MODELS_URI`, by default the folder `models` of the data folder.

        Raises:
            JobError: The URI is of no kind that Arrow knows, or names no folder.
        """
        uri = config.models_uri or str(config.data_dir.absolute() / PREFIX)
        try:
            files, root = fs.FileSystem.from_uri(uri)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise JobError(f"SHOPSTREAM_MODELS_URI={uri!r} is not usable: {reason}") from error
        if not root.strip("/"):
            raise JobError(f"SHOPSTREAM_MODELS_URI={uri!r} is not usable: it names no folder or bucket")
        return cls(uri, files, root.rstrip("/"), config.data_dir)

    def save(self, pipeline: PipelineModel, model: str, as_of: datetime) -> str:
        """Save a pipeline, replacing that of an earlier run of the same moment.

        Spark writes to the data folder, and Arrow copies from there: Spark would need a connector for every kind of
        store.

        Returns:
            Its path in `model_runs`: `models/<model>/<moment>`.

        Raises:
            OSError: The store refused; the message says where and why.
        """
        path = f"{model}/{compact(as_of)}"
        target = f"{self.root}/{path}"
        with self._scratch_folder() as folder:
            pipeline.save(f"{folder}/pipeline")
            try:
                self._replace(target, f"{folder}/pipeline")
            except OSError as error:
                raise OSError(f"cannot write a model to {self.uri}/{path}: {error}") from error
        return f"{PREFIX}/{path}"

    def load(self, path: str) -> PipelineModel | None:
        """Load the pipeline that `save` has given a path; None if it is no longer there."""
        source = self._located(path)
        if self.files.get_file_info(source).type != fs.FileType.Directory:
            return None
        with self._scratch_folder() as folder:
            fs.copy_files(source, folder, self.files, fs.LocalFileSystem())
            return PipelineModel.load(Path(folder).as_uri())

    def moments(self) -> Iterator[tuple[datetime, str]]:
        """Yield the moment and the path of every pipeline."""
        for model in self._folders(self.root):
            for folder in self._folders(model.path):
                # A folder of another name is not ours.
                with suppress(ValueError):
                    yield parse_compact(folder.base_name), f"{PREFIX}/{model.base_name}/{folder.base_name}"

    def delete(self, path: str) -> None:
        """Delete a pipeline."""
        self._drop(self._located(path))

    def _located(self, path: str) -> str:
        return f"{self.root}/{path.removeprefix(f'{PREFIX}/')}"

    def _folders(self, path: str) -> list[fs.FileInfo]:
        found = self.files.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return [one for one in sorted(found, key=lambda one: one.path) if one.type == fs.FileType.Directory]

    def _scratch_folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self.scratch, prefix=SCRATCH)

    def _replace(self, target: str, source: str) -> None:
        # In a folder, the old pipeline stays until the new one is whole. Object stores cannot rename folders.
        renames = isinstance(self.files, fs.LocalFileSystem)
        copy = f"{target}.partial" if renames else target
        self._drop(copy)
        fs.copy_files(source, copy, fs.LocalFileSystem(), self.files)
        if renames:
            self._drop(target)
            self.files.move(copy, target)

    def _drop(self, folder: str) -> None:
        if self.files.get_file_info(folder).type == fs.FileType.Directory:
            self.files.delete_dir(folder)
