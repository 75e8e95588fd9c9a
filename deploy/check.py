"""`make deploy-check`: everything the platform needs, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy import cluster, installed, rights
from deploy.findings import LOOK, MISSING, OK, Finding, summary, table
from deploy.settings import Settings
from deploy.tools import ToolError, Tools


def report(tools: Tools, settings: Settings, skip: Sequence[str], pull: bool) -> int:
    """Print the table.

    Args:
        tools: To run kubectl and helm.
        settings: The deployment that is meant.
        skip: Parts that the platform does without.
        pull: Try to pull the images.

    Returns:
        The exit status: 1 if anything is missing.
    """
    findings = collect(tools, settings, skip, pull)
    print(table(findings))
    print(summary(findings))
    return 1 if any(one.status == MISSING for one in findings) else 0


def collect(tools: Tools, settings: Settings, skip: Sequence[str], pull: bool) -> list[Finding]:
    """Return all findings; see `report`. Without a cluster that answers there are few."""
    findings = cluster.of_tools()
    if any(one.status != OK for one in findings):
        return findings
    findings.append(cluster.of_server(tools))
    if findings[-1].status != OK:
        return findings
    looks: list[tuple[str, Callable[[], Finding | list[Finding]]]] = [
        ("your rights", lambda: rights.of_user(tools, settings)),
        ("helm's version", lambda: cluster.of_helm(tools)),
        ("kinds", lambda: cluster.of_crds(tools, skip)),
        ("storage", lambda: cluster.of_storage(tools, settings)),
        ("room", lambda: cluster.of_room(tools)),
        ("namespace", lambda: installed.of_namespace(tools, settings)),
        ("settings", lambda: installed.of_config(tools, settings)),
        ("accounts", lambda: rights.of_accounts(tools, settings)),
        ("Secrets", lambda: installed.of_secrets(tools, settings, skip)),
        ("volumes", lambda: installed.of_claims(tools, settings)),
        ("images", lambda: installed.of_images(tools, settings, pull)),
        ("workloads", lambda: installed.of_workloads(tools, settings, skip)),
    ]
    for what, look in looks:
        try:
            found = look()
        except ToolError as error:
            # Most likely a right to look that this user does not have; the rest can be told all the same.
            found = Finding(what, LOOK, str(error), "let somebody who may look run this")
        findings += found if isinstance(found, list) else [found]
    return findings
