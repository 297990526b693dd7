"""The retry table: what follows a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrkit.judge.calls.retry import (
    LONGEST_HINT,
    MOST_ATTEMPTS,
    MOST_THROTTLED,
    PATIENCE,
    Act,
    Step,
    next_step,
)
from arrkit.judge.transport import ErrorKind

HINTS = st.none() | st.floats(0, 10_000)
DRAWS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        (ErrorKind.RATE_LIMIT, Act.WAIT),
        (ErrorKind.TRANSIENT, Act.WAIT),
        (ErrorKind.EXHAUSTED, Act.STOP),
        (ErrorKind.REFUSED, Act.GIVE_UP),
        (ErrorKind.TOO_LARGE, Act.GIVE_UP),
        (ErrorKind.REJECTED, Act.GIVE_UP),
    ],
)
def test_the_first_failure_of_each_kind(kind, act):
    assert next_step(kind, 1).act is act


@given(st.sampled_from(ErrorKind), HINTS, DRAWS)
def test_every_call_comes_to_an_end(kind, hint, jitter):
    waited, attempt = 0.0, 1
    while (step := next_step(kind, attempt, hint=hint, waited=waited, jitter=jitter)).act is Act.WAIT:
        assert 0 <= step.seconds <= LONGEST_HINT
        waited += step.seconds
        attempt += 1
    assert attempt <= MOST_THROTTLED
    assert waited < PATIENCE + LONGEST_HINT
    if kind is not ErrorKind.RATE_LIMIT:
        assert attempt <= MOST_ATTEMPTS


def test_back_off_doubles_up_to_a_ceiling():
    waits = [next_step(ErrorKind.RATE_LIMIT, attempt).seconds for attempt in range(1, 10)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [next_step(ErrorKind.TRANSIENT, attempt).seconds for attempt in range(1, 6)] == [0.5, 1, 2, 4, 8]


@given(DRAWS)
def test_jitter_takes_up_to_half_of_a_back_off(jitter):
    assert 2 <= next_step(ErrorKind.RATE_LIMIT, 3, jitter=jitter).seconds <= 4


@given(st.floats(0, LONGEST_HINT), DRAWS)
def test_a_hint_is_kept_to_the_second_and_by_everyone(hint, jitter):
    step = next_step(ErrorKind.RATE_LIMIT, 3, hint=hint, jitter=jitter)
    assert step == Step(Act.WAIT, hint, pause=True, shrink=True)


def test_only_throttling_shrinks_concurrency():
    assert next_step(ErrorKind.RATE_LIMIT, 1).shrink
    assert not next_step(ErrorKind.TRANSIENT, 1).shrink
    assert not next_step(ErrorKind.TRANSIENT, 1, hint=3.0).shrink


def test_a_hint_on_a_stumble_is_a_floor():
    assert next_step(ErrorKind.TRANSIENT, 5, hint=1.0).seconds == 8
    assert next_step(ErrorKind.TRANSIENT, 1, hint=20.0).seconds == 20


def test_a_hint_beyond_the_ceiling_stops_the_run_or_gives_the_call_up():
    assert next_step(ErrorKind.RATE_LIMIT, 1, hint=LONGEST_HINT + 1).act is Act.STOP
    assert next_step(ErrorKind.TRANSIENT, 1, hint=LONGEST_HINT + 1).act is Act.GIVE_UP
