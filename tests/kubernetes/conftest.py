"""What every test on pods needs: the cluster, the images, a namespace."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from tests.kubernetes.cluster import Cluster, cluster_up, missing
from tests.kubernetes.images import Images
from tests.kubernetes.images import images as all_images


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster, up."""
    if reason := missing():
        warnings.warn(f"tests on pods SKIPPED: {reason}", stacklevel=1)
        pytest.skip(reason)
    return cluster_up()


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    """The images, built and known to the cluster."""
    return all_images()


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for the tests of one module, removed in the end."""
    with cluster.namespace("test") as name:
        yield name
