from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.spec import Spec
from arrkit.errors import InputError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("shapes", Spec("shapes")),
        (" shapes ", Spec("shapes")),
        ("openai:gpt-5.2", Spec("openai", "gpt-5.2")),
        ("vllm:Qwen/Qwen3-VL-8B-Instruct", Spec("vllm", "Qwen/Qwen3-VL-8B-Instruct")),
        ("ollama:llava:13b", Spec("ollama", "llava:13b")),
        ("shapes?noise=0.3&seed=1", Spec("shapes", options={"noise": "0.3", "seed": "1"})),
        ("shapes?note=", Spec("shapes", options={"note": ""})),
        (
            "vllm:m?base_url=http://localhost:8000/v1?x%3D1",
            Spec("vllm", "m", {"base_url": "http://localhost:8000/v1?x=1"}),
        ),
        ("shapes?", Spec("shapes")),
    ],
)
def test_a_spec_is_read_in_its_parts(text, spec):
    assert Spec.parse(text) == spec


@pytest.mark.parametrize("text", ["", "  ", ":model", "?noise=1", "shapes?noise", "shapes?a=1&a=2"])
def test_a_spec_that_says_nothing_or_two_things_is_refused(text):
    with pytest.raises(InputError):
        Spec.parse(text)


_words = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=":?"), min_size=1)
_models = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="?"))


@given(name=_words, model=_models, options=st.dictionaries(st.text(min_size=1), st.text()))
def test_the_canonical_text_reads_back_as_the_same_spec(name, model, options):
    spec = Spec(name, model, options)
    assert Spec.parse(str(spec)) == spec


def test_the_canonical_text_does_not_depend_on_the_order_of_options():
    assert str(Spec.parse("x?b=2&a=1")) == str(Spec.parse("x?a=1&b=2")) == "x?a=1&b=2"
