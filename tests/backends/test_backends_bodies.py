"""A body written around its images says what the plain JSON encoder says."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.judges.bodies import DataUrl, data_url, json_body
from arrkit.judge.transport import ImagePart

URLS = st.binary(max_size=30).map(lambda data: data_url(ImagePart(data, "image/png", 1, 1)))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | URLS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_a_body_is_what_json_makes_of_it(body) -> None:
    assert json.loads(json_body(body)) == json.loads(json.dumps(body))


def test_urls_stand_where_their_images_stood() -> None:
    first, second = (data_url(ImagePart(data, "image/jpeg", 1, 1)) for data in (b"one", b"two"))
    body = {"parts": [{"url": second}, "text", {"url": first}, {"url": second}]}
    assert json_body(body).decode() == json.dumps(body, separators=(",", ":"))
    assert first == "data:image/jpeg;base64,b25l"
    assert isinstance(first, DataUrl)
