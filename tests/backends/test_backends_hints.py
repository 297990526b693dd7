from __future__ import annotations

from email.utils import formatdate

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.backends.judges.hints import seconds, wait_hint
from arrkit.backends.judges.labels import label_of, label_probabilities, spellings

NOW = 1_800_000_000.0


def hint(message: str = "", **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return wait_hint(httpx2.Headers(named), message, now=NOW)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "10"}, 10.0),
        ({"retry_after": "0.25"}, 0.25),
        ({"retry_after_ms": "300"}, 0.3),
        ({"retry_after_ms": "300", "retry_after": "1"}, 0.3),
        ({"retry_after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry_after": formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"x_ratelimit_reset_requests": "6m0s"}, 360.0),
        ({"x_ratelimit_reset_tokens": "250ms", "x_ratelimit_reset_requests": "1s"}, 1.0),
        ({"x_ratelimit_reset": str(NOW + 30)}, 30.0),
        ({"x_ratelimit_reset": "30"}, 30.0),
        ({}, None),
    ],
)
def test_a_wait_is_read_in_every_form(headers: dict[str, str], wait: float | None) -> None:
    assert hint(**headers) == pytest.approx(wait)


def test_what_has_not_run_out_is_not_waited_for() -> None:
    headers = {
        "x_ratelimit_reset_requests": "6m0s",
        "x_ratelimit_remaining_requests": "12",
        "x_ratelimit_reset_tokens": "2s",
        "x_ratelimit_remaining_tokens": "0",
    }
    assert hint(**headers) == 2.0


def test_the_message_is_read_last() -> None:
    assert hint("Limit 3/min. Please try again in 1m20s. Visit us.") == 80.0
    assert hint("Please try again in 20s.", retry_after="5") == 5.0


@given(st.integers(0, 99), st.integers(0, 59), st.floats(0, 59, allow_nan=False).map(lambda x: round(x, 3)))
def test_durations_add_up(hours: int, minutes: int, rest: float) -> None:
    assert seconds(f"{hours}h{minutes}m{rest:.3f}s") == pytest.approx(3600 * hours + 60 * minutes + rest)


@given(st.text(max_size=30))
def test_no_header_breaks_it(text: str) -> None:
    headers = {"retry-after": text, "retry-after-ms": text, "x-ratelimit-reset-tokens": text}
    wait = wait_hint(headers, text, now=NOW)
    assert wait is None or wait >= 0.0


def test_words_are_spelled_in_every_case_and_letters_in_one() -> None:
    assert set(spellings("Yes")) == {"Yes", " Yes", "yes", " yes", "YES", " YES"}
    assert spellings("A") == ("A", " A")


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("Yes", "Yes"),
        (" yes", "Yes"),
        ("▁NO", "No"),
        ("ĠNo", "No"),
        ('"Yes', "Yes"),
        ("Nothing", None),
        ("Y", None),
    ],
)
def test_a_token_is_a_label_in_any_dress(token: str, label: str | None) -> None:
    assert label_of(token, ("Yes", "No")) == label


def test_an_article_is_no_letter() -> None:
    assert label_of("a", ("A", "B")) is None
    assert label_of("a", ("a", "A")) == "a"


def test_probabilities_are_summed_over_spellings_and_counted_once() -> None:
    tokens = [("Yes", -1.0), (" yes", -2.0), ("Yes", -1.0), ("No", -9999.0), ("The", -0.5)]
    shares, mass = label_probabilities(("Yes", "No"), tokens)
    assert shares["Yes"] == pytest.approx(0.36788 + 0.13534, abs=1e-4)
    assert shares["No"] == 0.0
    assert mass == pytest.approx(shares["Yes"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["Yes", " Yes", "no", "No", "x"]), st.floats(-30, 0.1, allow_nan=False)),
        max_size=8,
    )
)
def test_a_mass_is_a_probability(tokens: list[tuple[str, float]]) -> None:
    shares, mass = label_probabilities(("Yes", "No"), tokens)
    assert 0.0 <= mass <= 1.0
    assert sum(shares.values()) == pytest.approx(mass)
