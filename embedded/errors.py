"""The one exception of this package that users see."""


class StackError(Exception):
    """A problem the user can act on; its text is one line: what is wrong (what to do)."""
