"""Entry point of `make install`, run by whatever python3 the user has.

This file must stay readable by Python versions too old for the rest of the package, so that they get the one-line
error below instead of a SyntaxError.
"""

import sys

MINIMUM = (3, 11)


def main() -> int:
    """Check the interpreter, then hand over to `embedded.install`. Returns the exit code."""
    if sys.version_info[:2] < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        text = "error: Python 3.11 or newer is needed, {} is {} (install one and name it: make PYTHON=python3.11 ...)\n"
        sys.stderr.write(text.format(sys.executable, found))
        return 1
    from embedded.install import main as install

    return install(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
