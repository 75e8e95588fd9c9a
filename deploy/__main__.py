"""Command line: `python -m deploy apply` installs, `python -m deploy check` says what is missing. See --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.apply import Deployment
from deploy.check import report
from deploy.deployed import as_deployed
from deploy.errors import DeployError
from deploy.parts import PARTS, chosen
from deploy.settings import ACCESS_MODES, Settings
from deploy.tools import Tools

_REMEMBERED = ("registry", "tag", "storage_class", "access_mode")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = result.add_subparsers(dest="command", required=True)
    install = commands.add_parser("apply", help="install everything, in order; safe to repeat")
    check = commands.add_parser("check", help="say what the cluster lacks; exit status 1 if something is missing")
    for command in (install, check):
        command.add_argument("--context", default="", help="context of the kubeconfig (default: the current one)")
        command.add_argument(
            "--namespace", default="shopstream", help="where the platform lives (default: %(default)s)"
        )
        # What is not given stays as it is deployed: one part alone must not change the images of all.
        command.add_argument("--registry", help="host and path before the names of our images (default: as deployed)")
        command.add_argument("--tag", help=f"tag of both images (default: as deployed, else {Settings.tag})")
        command.add_argument(
            "--storage-class", help="class of the shared volumes (default: as deployed, else the cluster's)"
        )
        command.add_argument(
            "--access-mode", help=f"{' or '.join(ACCESS_MODES)} (default: as deployed, else the first)"
        )
        command.add_argument("--skip", default="", help="parts that you do without or have already, by name")
    install.add_argument("--dry-run", action="store_true", help="change nothing, have the cluster check it")
    install.add_argument("--only", default="", help=f"install only these of: {' '.join(part.name for part in PARTS)}")
    install.add_argument("--with", dest="extra", default="", help="optional parts to install as well: quota")
    install.add_argument("--charts", type=Path, help="folder with chart archives (default: fetch them)")
    check.add_argument("--pull", action="store_true", help="start a pod of each image to see whether it can be pulled")
    return result


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line says; returns the exit status.

    Raises:
        DeployError: It cannot be done.
    """
    tools = Tools(arguments.context)
    known = as_deployed(tools, arguments.namespace)
    given = {name: value for name in _REMEMBERED if (value := getattr(arguments, name)) is not None}
    settings = Settings(
        namespace=arguments.namespace,
        context=arguments.context,
        charts=getattr(arguments, "charts", None),
        **known | given,
    )
    skip = _words(arguments.skip)
    if arguments.command == "check":
        chosen([], skip, [])
        return report(tools, settings, skip, arguments.pull)
    parts = chosen(_words(arguments.only), skip, _words(arguments.extra))
    tools.kubectl("version", "--request-timeout=10s")
    unchecked = Deployment(tools, settings, arguments.dry_run).run(parts, skip)
    if not arguments.dry_run:
        print("done")
        if any(part.name == "airflow" for part in parts):
            print(f"the UI: kubectl --namespace {settings.namespace} port-forward service/airflow-api-server 8080")
        return 0
    print(f"dry run: nothing was changed; {len(parts)} parts, {len(unchecked)} not fully checked")
    for line in unchecked:
        print(f"  {line}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        return run(parser().parse_args(arguments))
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted (the same command goes on where it ended)", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
