"""``python -m arrkit`` is the command ``arrkit``."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the process ends with its exit status."""
    try:
        from arrkit.cli.app import app

        app(prog_name="arrkit")
    except KeyboardInterrupt:  # while arrkit itself was still being imported
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
