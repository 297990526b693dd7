"""The Theme/Tip text of the Auto-Rubric-as-Reward tool, out and in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.data.pairs import Task
from arrkit.errors import InputError
from arrkit.rubric.files import read_rubric, rubric_from_json, rubric_to_json
from arrkit.rubric.model import Criterion, Dimension, Provenance, Rubric
from arrkit.rubric.text import export_text, import_text

AWKWARD = [
    "Theme: not a theme",
    "Tip 3: not a label",
    "- a bullet",
    "1. a number",
    "**bold** words **",
    "# heading",
    "Rubric 7",
    "Check: the check",
    "__init__",
    "Tips:",
    ":",
]
lines = (st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(AWKWARD)).map(
    lambda text: " ".join(text.split())
)
words = lines.filter(bool)


def made(*themes: tuple[str, list[tuple[str, str]]]) -> Rubric:
    dimensions = []
    for i, (theme, tips) in enumerate(themes):
        criteria = (Criterion(f"c{i}-{j}", tip, guidance=check) for j, (tip, check) in enumerate(tips))
        dimensions.append(Dimension(f"d{i}", theme, tuple(criteria)))
    provenance = Provenance("manual", "0.1.0", "2026-01-31T12:00:00Z")
    return Rubric("r", Task.EDIT, tuple(dimensions), provenance)


def content(rubric: Rubric) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (dimension.name, [(criterion.statement, criterion.guidance) for criterion in dimension.criteria])
        for dimension in rubric.dimensions
    ]


def read(text: str) -> list[tuple[str, list[str]]]:
    rubric = import_text(text, name="r", task=Task.T2I)
    return [(theme, [tip for tip, _ in tips]) for theme, tips in content(rubric)]


@given(
    st.lists(
        st.tuples(words, st.lists(st.tuples(words, lines), min_size=1, max_size=4)), min_size=1, max_size=4
    )
)
@settings(max_examples=200, deadline=None)
def test_themes_tips_checks_and_order_survive(themes: list[tuple[str, list[tuple[str, str]]]]) -> None:
    text = export_text(made(*themes))
    again = import_text(text, name="r", task=Task.EDIT)
    assert content(again) == themes
    assert export_text(again) == text
    assert rubric_from_json(rubric_to_json(again)) == again


def test_the_export_is_in_the_form_that_the_tool_prints() -> None:
    rubric = made(
        ("Edit execution", [("The change\nis visible.", "Compare."), ("It is complete.", "")]),
        ("Look", [("Sharp.", "")]),
    )
    assert export_text(rubric) == (
        "Rubric 1:\nTheme: Edit execution\n- Tip1: The change is visible.\n  Check: Compare.\n"
        "- Tip2: It is complete.\n\nRubric 2:\nTheme: Look\n- Tip1: Sharp.\n"
    )


def test_an_import_says_that_it_is_one() -> None:
    rubric = import_text(
        "Theme: Counts\n- Tip1: Three cats.",
        name="mine",
        task=Task.EDIT,
        source="old.txt",
        created_at="2026-02-01T00:00:00Z",
    )
    assert rubric.provenance.method == "import"
    assert rubric.provenance.created_at == "2026-02-01T00:00:00Z"
    assert (rubric.name, rubric.task, rubric.metrics) == ("mine", Task.EDIT, None)
    assert rubric.description == "Imported from old.txt."
    assert [criterion.weight for criterion in rubric.criteria()] == [1.0]


def test_ids_are_made_of_the_words_and_differ() -> None:
    rubric = import_text(
        "Theme: Counts\n- Tip1: Three cats.\n- Tip2: three cats\nTheme: Counts\n- Tip: 三只猫\n- Tip: 两只猫",
        name="r",
        task=Task.T2I,
    )
    assert [dimension.id for dimension in rubric.dimensions] == ["counts", "counts-2"]
    assert [entry.id for entry in rubric.criteria()] == [
        "three-cats",
        "three-cats-2",
        "criterion",
        "criterion-2",
    ]
    assert rubric_from_json(rubric_to_json(rubric)) == rubric


TWO = [("Counting", ["Three cats are seen.", "No dog is seen."]), ("Light", ["Shadows agree."])]


FORMS = """\
Theme: Counting
- Tip1: Three cats are seen.
- Tip2: No dog is seen.
Theme: Light
- Tip1: Shadows agree.
=====
Rubrics generated:

1. Theme: Counting
   - Tip: Three cats are seen.
   - Tip: No dog is seen.

2. Theme: Light
   - Tip: Shadows agree.
=====
**Theme:** Counting
**Tips:**
- Three cats are seen.
- No dog is seen.

**Theme: Light**
Tips:
* Shadows agree.
=====
## Theme 1: Counting

Tips:

1. Three cats are seen.

2) No dog is seen.

## Theme 2: Light

• Shadows agree.
=====
### Rubric 1
Theme: Counting
- **Tip 1**: Three cats are seen.
- **Tip 2:** No dog is seen.
### Rubric 2
Theme: Light
- __Tip 1__: Shadows agree.
=====
\ufeffTHEME：Counting
tip 1：Three cats
  are seen.
tip 2：No dog is seen.
Theme:
Light
- Tip 1:
  Shadows agree.
=====
Rubric 1: Counting
- Tip 1. Three cats are seen.
- Tip 2 - No dog is seen.
Rubric 2: Light
- Shadows agree.
=====
# Counting
- Three cats are seen.
- No dog is seen.
# Light
- Shadows agree.
=====
Rubric 1: The first
Theme: Counting
Tip1: Three cats are seen.
Tip2: No dog is seen.

Rubric 2:
Theme: Light

Shadows agree.
"""


@pytest.mark.parametrize("text", [*FORMS.split("=====\n"), FORMS.partition("=")[0].replace("\n", "\r\n")])
def test_import_is_tolerant(text: str) -> None:
    assert read(text) == TWO


def test_a_list_without_themes_is_one_dimension() -> None:
    text = "1. Three cats are seen,\nall of them red.\n\n2. No dog is seen."
    assert read(text) == [("General", ["Three cats are seen, all of them red.", "No dog is seen."])]


def test_a_theme_without_tips_is_a_criterion() -> None:
    assert read("Theme: Three cats are seen.\n\nTheme: Light\n- Tip1: Shadows agree.") == [
        ("Three cats are seen.", ["Three cats are seen."]),
        ("Light", ["Shadows agree."]),
    ]


@pytest.mark.parametrize(
    "text", ["", "\n\n", "Just some prose.\n", "Rubric 1:\n", "Theme:\n", "{}", "- Tip1:\n"]
)
def test_a_text_without_themes_and_tips_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"old\.txt holds no theme and no tip"):
        import_text(text, name="r", task=Task.T2I, source="old.txt")


@given(st.text(st.characters(codec="utf-8")))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_valid_rubric_or_refused(text: str) -> None:
    try:
        rubric = import_text(text, name="r", task=Task.T2I)
    except InputError:
        return
    assert rubric_from_json(rubric_to_json(rubric)) == rubric


@pytest.mark.parametrize("name", ["t2i-general", "edit-general"])
def test_the_shipped_rubrics_go_out_and_come_back(name: str) -> None:
    rubric = read_rubric(name)
    assert content(import_text(export_text(rubric), name=name, task=rubric.task)) == content(rubric)
