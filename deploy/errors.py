"""What goes wrong in a way that the user can put right."""

from __future__ import annotations


class DeployError(Exception):
    """The message says what is wrong and what to do, on one line."""
