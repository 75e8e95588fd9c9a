"""Launcher of the embedded stack: installs it, starts it, watches it and stops it on one machine (see `make help`)."""
