"""Entry point of `python -m slugline`."""

from slugline.cli import main

main()
