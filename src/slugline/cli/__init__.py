"""The command line: parse, call, print. Heavy imports happen inside commands, so that ``--help`` answers at once."""

from __future__ import annotations

from slugline.cli.app import main

__all__ = ["main"]
