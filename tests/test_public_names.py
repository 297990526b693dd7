"""What ``import arrkit`` offers, and what it costs."""

from __future__ import annotations

import arrkit


def test_every_public_name_leads_somewhere():
    for name in arrkit.__all__:
        assert getattr(arrkit, name) is not None
    assert set(arrkit._HOMES) == set(arrkit.__all__) - {"__version__"}


def test_a_name_that_is_not_there_says_so():
    assert not hasattr(arrkit, "evaluate_juge")


def test_importing_arrkit_imports_nothing_else(python):
    done = python("-c", "import arrkit, sys; print([m for m in sys.modules if m.startswith('arrkit')])")
    assert done.stdout == "['arrkit']\n"
