"""What a deployment is told: where to, which images, which volumes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError

REPOSITORY = Path(__file__).resolve().parents[1]
VALUES = REPOSITORY / "helm-values"

MONITORING_NAMESPACE = "monitoring"
ACCESS_MODES = ("ReadWriteMany", "ReadWriteOnce")

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TAG = re.compile(r"\w[\w.-]{0,127}")


@dataclass(frozen=True)
class Settings:
    """A deployment.

    Attributes:
        namespace: Where the platform lives. The operators and the monitoring have namespaces of their own.
        registry: What stands before the names of our two images, such as `registry.example.com/team`; empty for none.
        tag: Tag of both.
        storage_class: Class of the two volumes that pods share; empty for the cluster's default.
        access_mode: Their access mode; see `ACCESS_MODES`.
        context: Context of the kubeconfig; empty for the current one.
        charts: Folder with chart archives, for a machine without internet access; None to fetch them.
    """

    namespace: str = "shopstream"
    registry: str = ""
    tag: str = "0.1.0"
    storage_class: str = ""
    access_mode: str = "ReadWriteMany"
    context: str = ""
    charts: Path | None = None

    def __post_init__(self) -> None:
        """Check what was given.

        Raises:
            DeployError: A value cannot be what it should be.
        """
        if not _NAME.fullmatch(self.namespace):
            raise DeployError(f"NAMESPACE={self.namespace!r} cannot be the name of a namespace")
        if not _TAG.fullmatch(self.tag) or self.tag == "latest":
            raise DeployError(f"TAG={self.tag!r} is no tag that stays the same (use a version or a commit)")
        if self.registry != self.registry.strip("/ ") or "://" in self.registry:
            raise DeployError(f"REGISTRY={self.registry!r}: give host and path only, like registry.example.com/team")
        if self.access_mode not in ACCESS_MODES:
            raise DeployError(f"ACCESS_MODE={self.access_mode!r} is none of {', '.join(ACCESS_MODES)}")
        if self.charts and not self.charts.is_dir():
            raise DeployError(f"CHARTS={self.charts} is no folder")

    def repository(self, name: str) -> str:
        """Return the name of one of our images without its tag: `airflow` or `spark`."""
        return f"{self.registry}/shopstream-{name}" if self.registry else f"shopstream-{name}"

    def image(self, name: str) -> str:
        """Return the name of one of our images with its tag."""
        return f"{self.repository(name)}:{self.tag}"
