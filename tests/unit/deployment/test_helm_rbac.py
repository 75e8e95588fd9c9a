"""Who may do what, written down a second time: a right more than these is a decision, not an accident."""

from __future__ import annotations

from helm_files import named, objects, values

RIGHTS = {
    "shopstream-airflow": {
        ("", "pods"): {"create", "delete", "get", "list", "patch", "watch"},
        ("", "pods/log"): {"get"},
        ("", "pods/exec"): {"create", "get"},
        ("", "events"): {"list", "watch"},
        ("sparkoperator.k8s.io", "sparkapplications"): {"create", "delete", "get", "list", "patch", "update", "watch"},
    },
    "shopstream-spark-driver": {
        **{
            ("", resource): {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
            for resource in ("configmaps", "pods", "services")
        },
        ("", "persistentvolumeclaims"): {"create", "delete", "deletecollection", "get", "list", "watch"},
    },
}


def rights(role: str) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in named("Role", role)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_roles_grant_exactly_this() -> None:
    assert {one["metadata"]["name"] for one in objects() if one["kind"] == "Role"} == set(RIGHTS)
    for role, expected in RIGHTS.items():
        assert rights(role) == expected


def test_each_role_is_bound_to_its_own_account_and_nobody_else() -> None:
    bindings = [one for one in objects() if one["kind"] == "RoleBinding"]
    assert len(bindings) == len(RIGHTS)
    for binding in bindings:
        name = binding["metadata"]["name"]
        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "shopstream"}]


def test_nothing_of_ours_reaches_beyond_its_namespace_or_reads_secrets() -> None:
    assert not [one["metadata"]["name"] for one in objects() if one["kind"].startswith("ClusterRole")]
    for role in RIGHTS:
        for (group, resource), verbs in rights(role).items():
            assert "*" not in {group, resource, *verbs}
            assert resource != "secrets"


def test_batch_jobs_have_no_token() -> None:
    assert named("ServiceAccount", "shopstream-job")["automountServiceAccountToken"] is False


def test_charts_add_no_account_with_our_rights() -> None:
    airflow = values("airflow")
    assert airflow["allowPodLaunching"] is False
    for part in ("scheduler", "triggerer"):
        assert airflow[part]["serviceAccount"] == {"create": False, "name": "shopstream-airflow"}
    account = {"create": False, "name": "shopstream-airflow"}
    assert airflow["workers"]["serviceAccount"] == airflow["workers"]["kubernetes"]["serviceAccount"] == account
    assert values("spark-operator")["spark"]["rbac"] == {"create": False}
