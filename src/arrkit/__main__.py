"""``python -m arrkit`` is the command ``arrkit``."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the process ends with its exit status."""
    from arrkit.cli.app import app

    app()


if __name__ == "__main__":
    main()
