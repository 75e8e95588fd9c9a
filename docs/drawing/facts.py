"""The facts that the documentation repeats: DAGs, configuration, collections, components."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from drawing.source import FactError, called, calls, constant, keyword, texts, tree_of

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Dag:
    """One DAG.

    Attributes:
        dag_id: Its id, which is its file's name, too.
        when: Its schedule in words.
        minutes: Its interval; infinite without a clock.
        description: What it does, in a line.
        jobs: Modules of `spark_jobs.jobs` it runs, in the order of the file.
        publishes: Names of the assets it publishes.
    """

    dag_id: str
    when: str
    minutes: float
    description: str
    jobs: tuple[str, ...]
    publishes: tuple[str, ...]


def dags(root: Path = ROOT) -> list[Dag]:
    """Read all DAGs; those with a clock first, the most frequent one at the top."""
    found = [_dag(path, root) for path in sorted((root / "dags").glob("*.py"))]
    return sorted(found, key=lambda dag: (dag.minutes, dag.dag_id))


def _dag(path: Path, root: Path) -> Dag:
    tree = tree_of(path)
    call = next((one for one in calls(tree) if called(one) == "DAG"), None)
    description, schedule = (keyword(call, name) if call else None for name in ("description", "schedule"))
    if not isinstance(description, ast.Constant) or not isinstance(description.value, str) or schedule is None:
        raise FactError(f"{path} holds no DAG with a schedule and a description")
    when, minutes = _schedule(schedule, tree, root)
    outlets = [one for task in calls(tree) if (one := keyword(task, "outlets"))]
    return Dag(path.stem, when, minutes, description.value, _jobs(tree, root), _assets(outlets, root))


def _schedule(schedule: ast.expr, tree: ast.Module, root: Path) -> tuple[str, float]:
    """Say in words when a DAG runs, and how many minutes lie between two runs."""
    names = [node.id for node in ast.walk(schedule) if isinstance(node, ast.Name)]
    values = [node.value for node in ast.walk(schedule) if isinstance(node, ast.Constant)]
    # A function named like a constant gives that constant where the environment says nothing else.
    values += [constant(root / f"plugins/{module.replace('.', '/')}.py", name.upper())
               for module, name in _imports(tree) if name in names and name.upper().endswith("_CRON")]  # fmt: skip
    cron = next((value for value in values if isinstance(value, str) and len(value.split()) == 5), None)
    assets = _assets([schedule], root)
    if cron is None:
        return (f"when {' or '.join(assets)} is published" if assets else "by hand"), float("inf")
    words, minutes = _in_words(cron)
    return (f"{words}, and when {' or '.join(assets)} is published" if assets else words), minutes


def _in_words(cron: str) -> tuple[str, float]:
    if match := re.fullmatch(r"\*/(\d+) \* \* \* \*", cron):
        return f"every {match[1]} minutes", float(match[1])
    if re.fullmatch(r"\d+ \* \* \* \*", cron):
        return "every hour", 60
    if match := re.fullmatch(r"0 \*/(\d+) \* \* \*", cron):
        return f"every {match[1]} hours", 60 * float(match[1])
    return f"at {cron} (cron, UTC)", 24 * 60


def _imports(tree: ast.Module) -> list[tuple[str, str]]:
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    ]


def _assets(expressions: list[ast.expr], root: Path) -> tuple[str, ...]:
    """Names of the assets that expressions mention."""
    named = {}
    for node in tree_of(root / "plugins/shopstream/assets.py").body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            named[ast.unparse(node.targets[0])] = ast.literal_eval(node.value.args[0])
    used = [node.id for one in expressions for node in ast.walk(one) if isinstance(node, ast.Name)]
    return tuple(dict.fromkeys(named[name] for name in used if name in named))


def _jobs(tree: ast.Module, root: Path) -> tuple[str, ...]:
    """Jobs of the operators in a DAG file, also of those that a function of the file makes."""
    makers = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    jobs: list[str] = []
    for call in calls(tree):
        name = call.args[0] if called(call) in makers and call.args else keyword(call, "job")
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            jobs.append(name.value)
        elif called(call) == "StreamingLifecycleOperator":
            jobs.append(constant(root / "plugins/shopstream/runtimes/local_stream.py", "JOB"))
    return tuple(dict.fromkeys(jobs))


def collections(root: Path = ROOT) -> dict[str, tuple[str, ...]]:
    """Every collection that is checked, by who writes it: the sources that name it are the proof.

    Raises:
        FactError: A collection is named by none of them.
    """
    spark = root / "spark_jobs"
    training = next((dag.jobs for dag in dags(root) if dag.dag_id == "train_models"), ())
    sources = {
        "dimensions": [spark / "jobs/seed_dimensions.py"],
        "live": [spark / "streaming/sink.py", spark / "streaming/funnel.py"],
        # Before the registry, which names what the training jobs write, too.
        "as of a moment": [spark / f"jobs/{job}.py" for job in training],
        "operations": [spark / "streaming/heartbeat.py", spark / "quality/reading.py", spark / "ml/registry.py"],
    }
    left = list(constant(spark / "quality/suites.py", "COLLECTIONS"))
    groups: dict[str, tuple[str, ...]] = {}
    for group, paths in sources.items():
        named = set().union(*(texts(path) for path in paths))
        groups[group] = tuple(name for name in left if name in named)
        left = [name for name in left if name not in named]
    if left:
        raise FactError(f"nobody is known to write {', '.join(left)} (correct docs/drawing/facts.py)")
    return groups


@dataclass(frozen=True)
class Components:
    """The parts of the local runtime, and the stream's figures.

    Attributes:
        airflow: The Airflow processes.
        ports: Default port by environment variable.
        topic: The events topic.
        partitions: Its partitions.
        lateness: How far an event may be behind the newest one.
        database: Name of the database.
    """

    airflow: tuple[str, ...]
    ports: dict[str, str]
    topic: str
    partitions: int
    lateness: str
    database: str


def components(variables: dict[str, str], root: Path = ROOT) -> Components:
    """Read the components.

    Args:
        variables: Default of every environment variable.
        root: The repository.
    """
    lateness = constant(root / "spark_jobs/streaming/cells.py", "LATENESS")
    return Components(
        airflow=tuple(constant(root / "embedded/airflow.py", "COMMANDS")),
        ports={name: default for name, default in variables.items() if name.endswith("_PORT")},
        topic=variables["SHOPSTREAM_TOPIC"],
        partitions=constant(root / "embedded/stack.py", "EVENT_PARTITIONS"),
        # The extra millisecond makes an event of exactly ten minutes on time.
        lateness=lateness.removesuffix(" 1 millisecond"),
        database=variables["SHOPSTREAM_DATABASE"],
    )
