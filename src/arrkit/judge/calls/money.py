"""What calls cost: prices from dated lists, and a budget that is never overdrawn.

All money is in US dollars. A price that is not known stays unknown (None); it is never zero.
"""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from arrkit.errors import InputError, Problem, RunError
from arrkit.judge.calls.health import RESUME
from arrkit.judge.protocol import Usage

_MILLION = 1_000_000
_NUMBERS = ("input", "output", "cached_input", "cache_write")
_WORDS = ("endpoint", "source")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one million tokens of one model. ``tiers`` maps a service tier, in lower case, to what it
    multiplies the price by."""

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    endpoint: str = ""
    source: str = ""
    tiers: Mapping[str, float] = field(default_factory=dict)

    def of(self, usage: Usage, tier: str = "") -> float | None:
        """What ``usage`` costs, or None where a count that matters or the tier's price is unknown.

        Input tokens include cached ones, output tokens include reasoning. Cached tokens that are not
        reported are charged as fresh ones. Usage does not tell cache writes, so they are charged as fresh
        input too; :meth:`most` bounds them.
        """
        cached_price = self.input if self.cached_input is None else self.cached_input
        return self._sum(usage, tier, self.input, cached_price)

    def most(self, usage: Usage, tier: str = "") -> float | None:
        """An upper bound of :meth:`of`: nothing read from a cache, and everything written to it."""
        dearest = max(self.input, self.cached_input or 0.0, self.cache_write or 0.0)
        return self._sum(usage, tier, dearest, dearest)

    def _sum(self, usage: Usage, tier: str, fresh: float, cached: float) -> float | None:
        factor = self.tiers.get(tier.lower()) if tier else 1.0
        if factor is None:
            return None
        total = 0.0
        hits = usage.cached_tokens or 0
        for price, tokens in (
            (fresh, None if usage.input_tokens is None else usage.input_tokens - hits),
            (cached, hits),
            (self.output, usage.output_tokens),
        ):
            if price == 0:
                continue
            if tokens is None:
                return None
            total += price * tokens
        return total * factor / _MILLION


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by exact model name. ``dated`` is the day of the shipped list, ``paths`` the lists read."""

    models: Mapping[str, Price]
    dated: str = ""
    paths: tuple[str, ...] = ()

    def find(self, model: str, endpoint: str = "") -> Price | None:
        """The price of ``model`` where it is asked, or None."""
        price = self.models.get(model)
        if price is None or (price.endpoint and endpoint and price.endpoint != endpoint):
            return None
        return price


def user_prices() -> Path:
    """Where a user's own list lies: ``ARRKIT_PRICES``, else ``$XDG_CONFIG_HOME/arrkit/prices.toml``."""
    named = os.environ.get("ARRKIT_PRICES", "")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base else Path.home() / ".config") / "arrkit" / "prices.toml"


def load_prices() -> PriceList:
    """The shipped list with the user's own entries over it.

    Raises:
        InputError: the user's list cannot be read; all its problems at once. A list named in
            ``ARRKIT_PRICES`` must exist.
    """
    shipped = Path(__file__).with_name("prices.toml")
    lists = [shipped]
    own = user_prices()
    if own.is_file() or os.environ.get("ARRKIT_PRICES"):
        lists.append(own)
    models: dict[str, Price] = {}
    tiers: dict[str, float] = {}
    dated = ""
    for path in lists:
        table = _read(path)
        dated = str(table.get("dated", "")) if path is shipped else dated
        tiers |= _tiers(table, path)
        models |= _models(table, path, tiers)
    return PriceList(models, dated, tuple(str(path) for path in lists))


def _read(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the prices in {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def _tiers(table: Mapping[str, object], path: Path) -> dict[str, float]:
    tiers = table.get("tiers", {})
    if not isinstance(tiers, Mapping):
        raise InputError(f"{path}: tiers is a table of numbers")
    wrong = [name for name, factor in tiers.items() if not _is_price(factor)]
    if wrong:
        raise InputError([Problem("not a number of at least 0", f"{path}: tiers.{name}") for name in wrong])
    return {name.lower(): float(factor) for name, factor in tiers.items()}


def _models(table: Mapping[str, object], path: Path, tiers: Mapping[str, float]) -> dict[str, Price]:
    models = table.get("models", {})
    if not isinstance(models, Mapping):
        raise InputError(f"{path}: models is a table of models")
    found: dict[str, Price] = {}
    problems: list[Problem] = []
    for name, entry in models.items():
        where = f'{path}: models."{name}"'
        if not isinstance(entry, Mapping):
            problems.append(Problem("not a table", where))
            continue
        wrong = [key for key in _NUMBERS if key in entry and not _is_price(entry[key])]
        wrong += [key for key in _WORDS if key in entry and not isinstance(entry[key], str)]
        missing = [key for key in ("input", "output") if key not in entry]
        unknown = sorted(set(entry) - {*_NUMBERS, *_WORDS, "tiers"})
        problems += [
            Problem("not a price in dollars for a million tokens", f"{where}.{key}") for key in wrong
        ]
        problems += [Problem(f'"{key}" is missing', where) for key in missing]
        problems += [Problem(f'unknown key "{key}"', where) for key in unknown]
        if not (wrong or missing or unknown):
            own = _tiers(entry, path)
            numbers = {key: float(entry[key]) for key in _NUMBERS if key in entry}
            words = {key: str(entry[key]) for key in _WORDS if key in entry}
            found[name] = Price(**numbers, **words, tiers={**tiers, **own})  # type: ignore[arg-type]
    if problems:
        raise InputError(problems)
    return found


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


class Budget:
    """Money that may be spent. An upper bound of each request's cost is set aside before it is sent.

    So the sum is never overdrawn, however many requests are under way, as long as no request costs more than
    its reservation. A request that does not fit waits for others to come out cheaper than was set aside; when
    none is left under way, the run stops.

    Args:
        limit: dollars, None for no limit.
        name: the transport's spec, for messages.
    """

    def __init__(self, limit: float | None, name: str = "") -> None:
        self.limit = limit
        self.spent = 0.0
        self._name = name
        self._reserved = 0.0
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, amount: float) -> None:
        """Set ``amount`` aside.

        Raises:
            RunError: nothing is under way any more and it does not fit.
        """
        while self.limit is not None and self.spent + self._reserved + amount > self.limit:
            if not self._under_way:
                raise RunError(
                    f"{self._name}: stopped before going over --max-cost {self.limit:g}: ${self.spent:.4f} "
                    f"are spent, and the next request may cost ${amount:.4f}",
                    hint=f"Raise --max-cost to go on. {RESUME}",
                )
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self._reserved += amount
        self._under_way += 1

    def settle(self, reserved: float, spent: float) -> None:
        """The request is over: release what was set aside for it and book what it cost."""
        self._under_way -= 1
        self._reserved = self._reserved - reserved if self._under_way else 0.0
        self.spent += spent
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
