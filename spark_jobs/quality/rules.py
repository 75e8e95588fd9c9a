"""Cross-field rules: true/false columns computed from other columns of the same document.

A rule is written as an expression of `pandas.DataFrame.eval`, for example

    has_purchase == (purchase_count > 0)
    abs((session_end - session_start).dt.total_seconds() / 60 - session_duration_minutes) < 0.01

so that a suite says in one place what must hold, and a plain expectation ("is always true") checks it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

import pandas as pd


class RuleError(Exception):
    """A rule that cannot be evaluated; the message says why."""


def rule_columns(rule: str) -> set[str]:
    """The columns an expression uses.

    Raises:
        RuleError: It is no expression, or it uses what could reach outside of the table.
    """
    try:
        tree = ast.parse(rule, mode="eval")
    except SyntaxError as error:
        raise RuleError(f"{rule!r} is no expression ({error.msg})") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise RuleError(f"{rule!r} uses the private name {node.attr}")
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - called


def add_rules(frame: pd.DataFrame, rules: Mapping[str, str]) -> pd.DataFrame:
    """Add one nullable boolean column per rule.

    Args:
        frame: Typed columns (see `frames.to_frame`).
        rules: Expression by the name of the column it makes.

    Returns:
        The table with the rules' columns; a rule is null where any column it uses is null, because another expectation
        says whether that may be.

    Raises:
        RuleError: An expression does not evaluate to true/false over these columns.
    """
    columns = {}
    for name, rule in rules.items():
        try:
            # The Python engine: numexpr, if installed, knows no nullable columns.
            outcome = frame.eval(rule, engine="python").astype("boolean")
        except Exception as error:
            raise RuleError(f"rule {name}: {rule!r} cannot be evaluated ({type(error).__name__}: {error})") from error
        missing = frame[sorted(rule_columns(rule))].isna().any(axis=1)
        columns[name] = outcome.mask(missing)
    return frame.assign(**columns)
