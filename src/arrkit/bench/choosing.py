"""Which items of a benchmark a quick look takes, and in which order items can be painted."""

from __future__ import annotations

from collections.abc import Sequence

from arrkit.bench.model import Item


def chains(items: Sequence[Item]) -> list[list[Item]]:
    """Items that belong together: each starts with one that needs no other's image, the turns after it."""
    by_id = {item.id: item for item in items}
    held: dict[str, list[Item]] = {}
    for item in items:
        root = item
        while root.before:
            root = by_id[root.before]
        held.setdefault(root.id, []).append(item)
    return list(held.values())


def turns(items: Sequence[Item]) -> list[list[Item]]:
    """The items in turns: those of the first need no image of another item, later ones the turn before."""
    depth: dict[str, int] = {}
    by_id = {item.id: item for item in items}

    def turn(item: Item) -> int:
        if item.id not in depth:
            depth[item.id] = 1 + turn(by_id[item.before]) if item.before else 0
        return depth[item.id]

    made: list[list[Item]] = []
    for item in items:
        place = turn(item)
        made += [[] for _ in range(place + 1 - len(made))]
        made[place].append(item)
    return made


def spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most ``limit`` items, as evenly from all groups as can be, in the order of ``items``.

    Groups are told apart by everything in ``Item.groups``; where there are more of them than ``limit``, those
    that are taken lie evenly among all. Of a group the first items are taken. Turns of one edit stay
    together: one whole edit is taken in any case.
    """
    if limit is None or limit >= len(items):
        return list(items)
    groups: dict[tuple[tuple[str, str], ...], list[list[Item]]] = {}
    for chain in chains(items):
        groups.setdefault(tuple(sorted(chain[0].groups.items())), []).append(chain)
    taken: set[str] = set()
    row = 0
    while len(taken) < limit:
        having = [each for each in groups.values() if len(each) > row]
        room = limit - len(taken)
        if not having:
            break
        if room < len(having):
            having = [having[place * len(having) // room] for place in range(room)]
        for group in having:
            chain = group[row]
            if not taken or len(taken) + len(chain) <= limit:
                taken |= {item.id for item in chain}
        row += 1
    return [item for item in items if item.id in taken]
