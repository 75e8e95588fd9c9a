"""Who may do what: asked of the cluster, for the user who deploys and for the platform's own accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.findings import MISSING, OK, Finding
from deploy.settings import MONITORING_NAMESPACE, Settings
from deploy.tools import Tools

_REVIEWS = "/apis/authorization.k8s.io/v1"
_PARALLEL = 8


@dataclass(frozen=True)
class Right:
    """A right.

    Attributes:
        verb: create, get, ...
        resource: Plural, with its subresource: `pods/log`.
        group: API group; "" for the core.
        namespace: Where; "" for the whole cluster.
    """

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        where = f"in {self.namespace}" if self.namespace else "in the cluster"
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''} {where}"

    def attributes(self) -> dict[str, str]:
        """Return `resourceAttributes` of a review."""
        resource, _, sub = self.resource.partition("/")
        return {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": sub,
            "namespace": self.namespace,
        }


# What `make deploy` makes in the platform's namespace, and in the cluster for the charts.
_NAMESPACED = (
    ("", "configmaps"), ("", "secrets"), ("", "serviceaccounts"), ("", "services"), ("", "persistentvolumeclaims"),
    ("apps", "deployments"), ("apps", "statefulsets"), ("batch", "jobs"), ("batch", "cronjobs"),
    ("networking.k8s.io", "networkpolicies"), ("policy", "poddisruptionbudgets"),
    ("rbac.authorization.k8s.io", "roles"), ("rbac.authorization.k8s.io", "rolebindings"),
)  # fmt: skip
_CLUSTER_WIDE = (
    ("", "namespaces"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
)


def needed(namespace: str) -> list[Right]:
    """Return what the user who runs `make deploy` has to be allowed to do."""
    return [
        *(Right("patch", resource, group, namespace) for group, resource in _NAMESPACED),
        *(Right("create", resource, group) for group, resource in _CLUSTER_WIDE),
    ]


def allowed(tools: Tools, rights: Sequence[Right], account: str = "") -> list[bool]:
    """Ask the cluster for each right.

    Args:
        tools: To run kubectl.
        rights: What is asked for.
        account: `namespace:name` of a service account; "" for the user who asks.

    Raises:
        ToolError: The cluster does not answer such questions.
    """

    def ask(right: Right) -> bool:
        spec: dict[str, object] = {"resourceAttributes": right.attributes()}
        kind, path = "SelfSubjectAccessReview", "selfsubjectaccessreviews"
        if account:
            kind, path = "SubjectAccessReview", "subjectaccessreviews"
            spec["user"] = f"system:serviceaccount:{account}"
            spec["groups"] = [f"system:serviceaccounts:{account.partition(':')[0]}", "system:authenticated"]
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        answer = tools.kubectl("create", "--raw", f"{_REVIEWS}/{path}", "--filename=-", given=json.dumps(review))
        return bool(json.loads(answer)["status"].get("allowed"))

    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(ask, rights))


def of_user(tools: Tools, settings: Settings) -> Finding:
    """Whether the user who asks may install the platform."""
    rights = needed(settings.namespace)
    refused = [str(right) for right, yes in zip(rights, allowed(tools, rights), strict=True) if not yes]
    if not refused:
        return Finding("your rights", OK, f"all {len(rights)} that installing takes")
    detail = f"you may not {'; '.join(refused[:3])}{f'; and {len(refused) - 3} more' if len(refused) > 3 else ''}"
    return Finding("your rights", MISSING, detail, "let an administrator of the cluster deploy, or bind you to `admin`")


def of_accounts(tools: Tools, settings: Settings) -> list[Finding]:
    """Whether the platform's own accounts may do what they have to, and nothing beyond."""
    here = settings.namespace
    pods = [Right(verb, "pods", "", here) for verb in ("create", "delete", "get", "list", "watch")]
    expected = {
        "shopstream-airflow": [
            *pods,
            Right("get", "pods/log", "", here),
            Right("create", "pods/exec", "", here),
            Right("create", "sparkapplications", "sparkoperator.k8s.io", here),
        ],
        "shopstream-spark-driver": [
            *pods,
            Right("create", "services", "", here),
            Right("create", "configmaps", "", here),
        ],
        "shopstream-job": [],
    }
    nothing = [Right("create", "pods", "", here), Right("get", "configmaps", "", here)]
    never = [Right("get", "secrets", "", space) for space in (here, "default", "kube-system", MONITORING_NAMESPACE)]
    found = []
    for name, rights in expected.items():
        forbidden = never if rights else [*never, *nothing]
        answers = allowed(tools, [*rights, *forbidden], f"{here}:{name}")
        lacks = [str(right) for right, yes in zip(rights, answers, strict=False) if not yes]
        beyond = [str(right) for right, yes in zip(forbidden, answers[len(rights) :], strict=True) if yes]
        what = f"rights of {name}"
        if lacks:
            todo = "make deploy ONLY=platform"
            found.append(Finding(what, MISSING, f"may not {lacks[0]} ({len(lacks)} of {len(rights)} missing)", todo))
        elif beyond:
            todo = "a binding that is not ours allows it: kubectl get rolebindings,clusterrolebindings --all-namespaces"
            found.append(Finding(what, MISSING, f"may {beyond[0]}, and should not", todo))
        else:
            found.append(Finding(what, OK, f"{len(rights)} it needs, none of {len(forbidden)} it must not have"))
    return found
