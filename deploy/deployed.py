"""What was deployed before: whoever says nothing else means the same again."""

from __future__ import annotations

from deploy.tools import FIELD_MANAGER, Object, ToolError, Tools


def as_deployed(tools: Tools, namespace: str) -> dict[str, str]:
    """Return the settings of the last deployment.

    Args:
        tools: To run kubectl.
        namespace: Where the platform lives.

    Returns:
        `registry`, `tag`, `storage_class` and `access_mode` of `Settings`, as far as the cluster tells them: nothing on
        a cluster without the platform, or one that does not answer.
    """
    space = ("--namespace", namespace)
    try:
        settings = tools.get("configmap", "shopstream-config", *space) or {}
        claim = tools.get("persistentvolumeclaim", "shopstream-data", "--show-managed-fields", *space) or {}
    except ToolError:
        return {}
    found = {}
    image = (settings.get("data") or {}).get("SHOPSTREAM_SPARK_IMAGE", "")
    if image:
        repository, _, found["tag"] = image.rpartition(":")
        found["registry"] = repository.removesuffix("shopstream-spark").rstrip("/")
    described = claim.get("spec") or {}
    # One that the cluster has chosen stays the cluster's business.
    if _chosen_by_us(claim, "f:storageClassName"):
        found["storage_class"] = described["storageClassName"]
    if described.get("accessModes"):
        found["access_mode"] = described["accessModes"][0]
    return found


def _chosen_by_us(claim: Object, name: str) -> bool:
    managed = claim.get("metadata", {}).get("managedFields", [])
    return any(
        one.get("manager") == FIELD_MANAGER and name in one.get("fieldsV1", {}).get("f:spec", {}) for one in managed
    )
