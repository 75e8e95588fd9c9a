"""Reading facts out of Python source files without importing them: no environment is needed to draw."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any


class FactError(Exception):
    """The code does not say what the documentation needs; the message names the file and the fact."""


def tree_of(path: Path) -> ast.Module:
    """Parse a file."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, SyntaxError) as error:
        raise FactError(f"{path} cannot be read: {error}") from None


def assigned(path: Path, name: str) -> ast.expr:
    """Return the expression that a module, or a class in it, assigns to `name`.

    Raises:
        FactError: There is no such assignment.
    """
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return value
    raise FactError(f"{path} assigns nothing to {name} (correct docs/drawing)")


def constant(path: Path, name: str) -> Any:
    """Return the literal that a module assigns to `name`."""
    return ast.literal_eval(assigned(path, name))


def texts(path: Path) -> set[str]:
    """Return all string constants of a file."""
    return {
        node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def calls(node: ast.AST) -> list[ast.Call]:
    """Return all calls below `node` in the order of the source."""
    found = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def called(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    return ast.unparse(call.func).rpartition(".")[2]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return a keyword argument of a call."""
    return next((one.value for one in call.keywords if one.arg == name), None)
