"""Command line of the embedded stack: `python -m embedded COMMAND`, run by the Python of venvs/stack."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from embedded.config import REPOSITORY, home_of
from embedded.demo import Demo
from embedded.down import down
from embedded.errors import StackError
from embedded.home import exclusive
from embedded.logs import COMPONENTS, show
from embedded.progress import Progress
from embedded.reset import confirm, reset
from embedded.stack import current_settings, described_settings, ending_settings, open_stack
from embedded.status import status
from embedded.up import Up, where_to_click


def _up(_: argparse.Namespace) -> int:
    stack = open_stack(described_settings(os.environ))
    with exclusive(stack.settings.home, "up"):
        Up(stack, Progress()).run()
    print(where_to_click(stack))
    return 0


def _demo(options: argparse.Namespace) -> int:
    stack = open_stack(described_settings(os.environ))
    if options.events and not os.access(options.events, os.R_OK):
        raise StackError(f"EVENTS={options.events} cannot be read (name an existing .csv, .csv.gz or .parquet file)")
    with exclusive(stack.settings.home, "demo"):
        Demo(stack, Progress(), options.events and options.events.absolute()).run()
    return 0


def _down(_: argparse.Namespace) -> int:
    settings = ending_settings(os.environ)
    with exclusive(settings.home, "down"):
        if not down(settings, Progress()):
            print("nothing was running")
    return 0


def _status(_: argparse.Namespace) -> int:
    table, code = status(open_stack(current_settings(os.environ)))
    print(table)
    return code


def _logs(options: argparse.Namespace) -> int:
    show(current_settings(os.environ), options.component, options.follow)
    return 0


def _reset(options: argparse.Namespace) -> int:
    settings = ending_settings(os.environ)
    confirm(settings, options.yes)
    with exclusive(settings.home, "reset"):
        reset(settings, Progress())
    return 0


def _mongodb_uri(_: argparse.Namespace) -> int:
    print(open_stack(current_settings(os.environ)).mongodb_uri)
    return 0


def _env(_: argparse.Namespace) -> int:
    for name, value in sorted(open_stack(current_settings(os.environ)).exported().items()):
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _job(options: argparse.Namespace) -> int:
    if not (REPOSITORY / "spark_jobs/jobs" / f"{options.name}.py").is_file():
        raise StackError(f"there is no job {options.name} (jobs are the modules of spark_jobs/jobs)")
    stack = open_stack(current_settings(os.environ))
    command = [str(stack.settings.spark_python), "-m", f"spark_jobs.jobs.{options.name}", *options.arguments]
    return subprocess.run(command, env={**os.environ, **stack.exported()}, check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="embedded", description=f"The embedded stack in {home_of(os.environ)}.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, text: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    add("up", "start what does not run and wait until everything is healthy", _up)
    demo = add("demo", "run a month of a shop through the whole platform", _demo)
    demo.add_argument("--events", type=Path, metavar="FILE", help="the user's own events instead of generated ones")
    add("down", "end every process of the stack", _down)
    add("status", "show each component; exit code 3 unless all are healthy", _status)
    logs = add("logs", "show the last lines of the logs", _logs)
    logs.add_argument("component", nargs="?", choices=COMPONENTS, help="only this one")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    confirmed = add("reset", "stop the stack and delete its data and logs", _reset)
    confirmed.add_argument("--yes", action="store_true", help="do not ask")
    add("mongodb-uri", "print the connection string of the database", _mongodb_uri)
    add("env", "print the environment of the stack's processes as shell commands", _env)
    job = add("job", "run a job of spark_jobs/jobs against the stack, with its own options", _job)
    job.add_argument("name", help="the job's module, such as dead_letters")
    job.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the job's options; --help lists them")
    return parser


def main() -> int:
    """Run one command. Returns the exit code."""
    try:
        options = _parser().parse_args()
        code: int = options.function(options)
        return code
    except (StackError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted (the same command continues, make down ends everything)", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
