"""Prices, estimates, the budget and the books."""

from __future__ import annotations

import asyncio
import random

import pytest
from fake_transport import FakeTransport, answer, ask, error, number_of, virtually
from hypothesis import given, settings
from hypothesis import strategies as st

from arrkit.errors import InputError, RunError
from arrkit.judge.calls.cache import opened_cache
from arrkit.judge.calls.caller import Caller
from arrkit.judge.calls.dry import NOT_SENT, DryCaller
from arrkit.judge.calls.estimate import Ratio, image_rule, input_tokens, output_tokens, text_tokens
from arrkit.judge.calls.health import RESUME
from arrkit.judge.calls.money import Price, PriceList, load_prices, user_prices
from arrkit.judge.protocol import Usage
from arrkit.judge.transport import DecideRequest, ErrorKind, GenerateRequest, ImagePart, Question, TextPart

PRICE = Price(2.0, 8.0, cached_input=0.5, cache_write=2.5, tiers={"batch": 0.5, "default": 1.0})
PRICES = PriceList({"model": PRICE})


def test_cost_counts_fresh_cached_and_output_tokens():
    usage = Usage(
        input_tokens=1_000_000, cached_tokens=400_000, output_tokens=100_000, reasoning_tokens=90_000
    )
    assert PRICE.of(usage) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 8)
    assert PRICE.of(usage, "batch") == PRICE.of(usage, "BATCH") == pytest.approx(1.1)
    assert PRICE.of(usage, "flex") is None
    assert PRICE.most(usage) == pytest.approx(2.5 + 0.8)


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_unknown_tokens_make_an_unknown_cost(usage):
    assert PRICE.of(usage) is None
    assert Price(0.0, 0.0).of(usage) == 0.0  # what is free is free, however much it was


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5))
def test_the_most_is_never_less_than_the_cost(fresh, cached, output):
    usage = Usage(fresh + cached, cached, output)
    assert PRICE.most(usage) >= PRICE.of(usage) - 1e-12


def test_shipped_prices_are_dated_and_hold_at_the_vendors_own_host_alone():
    prices = load_prices()
    assert prices.dated == "2026-11-21"
    luna = prices.find("gpt-6-luna", "api.openai.com")
    assert luna.of(Usage(1_000_000, 0, 500)) == pytest.approx(0.10)
    assert luna.of(Usage(1_000_000, 0, 500), "batch") == pytest.approx(0.05)
    assert prices.find("gpt-6-luna", "localhost:8000") is None
    assert prices.find("gpt-6", "api.openai.com") is None


def test_a_users_own_prices_win(tmp_path, monkeypatch):
    own = user_prices()
    own.parent.mkdir(parents=True)
    own.write_text('[models."gpt-6-luna"]\ninput = 3\noutput = 1\n[models."gpt-6-luna".tiers]\nflex = 0.25\n')
    price = load_prices().find("gpt-6-luna", "anywhere")
    assert (price.input, price.output, price.tiers["flex"], price.tiers["batch"]) == (3.0, 1.0, 0.25, 0.5)
    named = tmp_path / "named.toml"
    named.write_text("[models.mine]\ninput = 1.5\noutput = 0\n")
    monkeypatch.setenv("ARRKIT_PRICES", str(named))
    prices = load_prices()
    assert prices.find("mine").input == 1.5
    assert prices.find("gpt-6-luna", "anywhere") is None
    assert prices.paths[-1] == str(named)


def test_all_that_is_wrong_with_a_price_list_is_said_at_once(tmp_path, monkeypatch):
    bad = tmp_path / "bad.toml"
    bad.write_text(
        "[models.a]\ninput = -1\noutput = 1\n[models.b]\noutput = 1\n"
        "[models.c]\ninput = 1\noutput = 1\nper = 2\n"
        '[models.d]\ninput = "2"\noutput = true\n'
    )
    monkeypatch.setenv("ARRKIT_PRICES", str(bad))
    with pytest.raises(InputError) as caught:
        load_prices()
    said = str(caught.value)
    assert said.count("not a price") == 3
    assert '"input" is missing' in said
    assert 'unknown key "per"' in said
    bad.write_text("models = [")
    with pytest.raises(InputError, match="not TOML"):
        load_prices()
    monkeypatch.setenv("ARRKIT_PRICES", str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match="cannot read the prices"):
        load_prices()


@pytest.mark.parametrize(
    ("model", "plugin", "size", "tokens"),
    [
        ("gpt-4o", "openai", (1024, 1024), 85 + 4 * 170),
        ("gpt-4o", "openai", (2048, 4096), 85 + 6 * 170),
        ("gpt-4o", "openai", (512, 512), 85 + 170),
        ("gpt-4.1-mini", "openai", (1024, 1024), 1659),
        ("gpt-4.1-mini", "openai", (4096, 4096), 2489),
        ("gemini-2.5-pro", "gemini", (384, 300), 258),
        ("gemini-2.5-pro", "gemini", (1024, 1024), 258 * 4),
        ("gemini-3.1-pro", "gemini", (64, 64), 1120),
        ("Qwen/Qwen3-VL-8B-Instruct", "vllm", (1024, 768), 32 * 24),
        ("anything", "somebody", (33, 32), 2),
    ],
)
def test_image_tokens_by_family(model, plugin, size, tokens):
    assert image_rule(model, plugin).tokens(*size) == tokens


@given(st.integers(1, 8000), st.integers(1, 8000))
def test_every_image_counts_for_something(width, height):
    for model in ("gpt-4o", "gpt-5.2", "gemini-2.5-flash", "gemini-3.1-pro", "x"):
        assert 0 < image_rule(model, "vllm").tokens(width, height) < 100_000


def test_tokens_of_a_request_are_those_of_its_parts():
    rule = image_rule("", "vllm")
    image = ImagePart(b"", "image/png", 64, 64)
    bare = GenerateRequest("x" * 40, (TextPart("y" * 40), image, image))
    assert input_tokens(bare, rule) == 10 + 10 + 4 + 4
    assert input_tokens(GenerateRequest("x" * 40, bare.parts, schema={"type": "object"}), rule) > 28
    asked = DecideRequest("", (image,), (Question("q", "y" * 40), Question("r", "", ("a" * 8, "b" * 8))))
    assert input_tokens(asked, rule) == 4 + 10 + 4
    assert output_tokens(asked) == (0, 0)
    assert output_tokens(ask(1, most=64)) == (64, 64)


def test_chinese_counts_a_token_a_character():
    assert text_tokens("两张图片哪张更好") == 8
    assert text_tokens("") == 0
    assert text_tokens("four") == 1


def test_the_ratio_compares_measured_with_estimated():
    ratio = Ratio()
    assert ratio.mean == 1.0
    ratio.add(100, None)
    assert ratio.calls == 0
    ratio.add(100, 300)
    ratio.add(300, 100)
    assert (ratio.calls, ratio.mean, ratio.highest) == (2, 1.0, 3.0)


def spender(limit, seed, concurrency=16, faults=0.0, **options):
    """300 calls under a budget, each with its own usage within its bounds; what was truly spent, and how it
    ended."""
    draw = random.Random(seed)
    spent = 0.0

    def script(request, attempt):
        nonlocal spent
        if draw.random() < faults:
            return error(ErrorKind.TRANSIENT, status=draw.choice((500, None)))
        inputs = draw.randint(1, input_tokens(request, image_rule("", "")))
        cached = draw.randint(0, inputs)
        usage = Usage(inputs, cached, draw.randint(0, 64))
        spent += PRICE.of(usage)
        return answer(usage=usage)

    async def work():
        transport = FakeTransport(script)
        caller = Caller(transport, max_cost=limit, prices=PRICES, concurrency=concurrency, **options)
        called = await asyncio.gather(
            *(caller.call(ask(number), parser="1") for number in range(300)), return_exceptions=True
        )
        return caller.totals, called

    totals, called = virtually(work())
    return spent, totals, called


@given(
    limit=st.floats(0.0005, 0.2),
    seed=st.integers(0, 1000),
    concurrency=st.sampled_from([1, 4, 64]),
    faults=st.sampled_from([0.0, 0.2]),
)
@settings(max_examples=30)
def test_a_budget_is_never_overdrawn(limit, seed, concurrency, faults):
    spent, totals, called = spender(limit, seed, concurrency, faults)
    assert spent <= limit
    assert totals.known_cost == pytest.approx(spent)
    stopped = [each for each in called if isinstance(each, RunError)]
    if stopped:
        assert f"stopped before going over --max-cost {limit:g}" in str(stopped[0])
        assert RESUME in str(stopped[0])
    else:
        assert len(called) == 300


def test_a_budget_is_used_up_before_the_run_stops():
    """The reservations are far larger than the costs; they come back as soon as the answers do."""
    spent, totals, called = spender(0.02, 1, concurrency=64)
    assert any(isinstance(each, RunError) for each in called)
    assert spent > 0.02 - 2 * PRICE.most(Usage(10, 0, 64))
    assert totals.requests < 300


def test_a_budget_that_is_large_enough_is_not_felt():
    _, totals, called = spender(10.0, 1)
    assert totals.requests == len(called) == 300
    assert not [each for each in called if isinstance(each, BaseException)]


def test_requests_that_may_have_been_billed_count_as_spent():
    async def work():
        transport = FakeTransport(lambda *_: error(ErrorKind.TRANSIENT, "timed out"))
        caller = Caller(transport, max_cost=0.0012, prices=PRICES)
        with pytest.raises(RunError, match="max-cost"):
            await caller.call(ask(0), parser="1")
        return caller.totals

    totals = virtually(work())
    assert totals.doubtful == 2
    assert 0 < totals.doubtful_cost <= 0.0012
    assert totals.cost == 0


def test_errors_that_report_usage_are_billed():
    def script(request, attempt):
        if attempt == 1:
            return error(ErrorKind.TRANSIENT, status=500, usage=Usage(1000, 0, 100))
        return answer(usage=Usage(1000, 0, 100))

    async def work():
        caller = Caller(FakeTransport(script), prices=PRICES)
        await caller.call(ask(0), parser="1")
        return caller.totals

    assert virtually(work()).cost == pytest.approx(2 * (0.002 + 0.0008))


def test_a_limit_on_money_needs_a_price():
    with pytest.raises(InputError, match=r"--max-cost needs a price, and that of model at fake\.example"):
        Caller(FakeTransport(), max_cost=1.0)
    with pytest.raises(InputError, match=r"prices\.toml"):
        Caller(FakeTransport(), max_cost=1.0, prices=PriceList({}))
    Caller(FakeTransport(), max_cost=1.0, prices=PRICES)


def test_totals_keep_the_unknown_apart():
    def script(request, attempt):
        usage = (Usage(100, 20, 10, 4), Usage(), Usage(input_tokens=50, output_tokens=5))[number_of(request)]
        return answer(usage=usage)

    async def work():
        caller = Caller(FakeTransport(script), prices=PRICES)
        for number in range(3):
            await caller.call(ask(number), parser="1")
        return caller.totals

    totals = virtually(work())
    assert (totals.fresh.tokens, totals.fresh.unknown) == (130, 1)
    assert (totals.cached_input.tokens, totals.cached_input.unknown) == (20, 2)
    assert (totals.output.tokens, totals.output.unknown) == (15, 1)
    assert (totals.reasoning.tokens, totals.reasoning.unknown) == (4, 2)
    assert totals.cost is None
    assert totals.known_cost == pytest.approx((80 * 2 + 20 * 0.5 + 80 + 100 + 40) / 1e6)


def test_the_tier_and_the_model_that_answered_decide_the_price():
    prices = PriceList({"model": PRICE, "model-0601": Price(4.0, 16.0)})

    async def cost(**changes):
        caller = Caller(FakeTransport(lambda *_: answer(**changes)), prices=prices)
        await caller.call(ask(0), parser="1")
        return caller.totals.cost

    usage = Usage(1_000_000, 0, 0)
    assert virtually(cost(usage=usage)) == 2.0
    assert virtually(cost(usage=usage, model="model-unlisted")) == 2.0
    assert virtually(cost(usage=usage, model="model-0601")) == 4.0
    assert virtually(cost(usage=usage, tier="batch")) == 1.0
    assert virtually(cost(usage=usage, tier="priority")) is None


def test_a_dry_run_counts_and_sends_nothing(tmp_path):
    async def work(cache):
        transport = FakeTransport()
        cache.put_now(*_kept(transport, 0))
        dry = DryCaller(transport, cache=cache, prices=PRICES)
        called = [await dry.call(ask(number), parser="1") for number in (0, 0, 1, 1, 2)]
        await dry.keep(ask(1), answer(), parser="1")
        return transport, dry.forecast, called

    with opened_cache(tmp_path) as cache:
        transport, forecast, called = virtually(work(cache))
    assert transport.sent == []
    assert [each.reply is not None for each in called] == [True, True, False, False, False]
    assert str(called[2].error) == NOT_SENT
    assert (forecast.requests, forecast.cached) == (2, 1)
    assert forecast.output_tokens == 128
    assert 0 < forecast.cost <= forecast.most_cost


def test_a_dry_run_without_a_price_says_so():
    async def work():
        dry = DryCaller(FakeTransport())
        await dry.call(ask(0), parser="1")
        return dry.forecast

    forecast = virtually(work())
    assert (forecast.requests, forecast.cost, forecast.most_cost) == (1, None, None)


def _kept(transport, number):
    from arrkit.judge.calls.cache import answer_key

    return answer_key(transport.name, ask(number), "1"), transport.name, answer()
