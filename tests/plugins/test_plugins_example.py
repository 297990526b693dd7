"""The example package as its users meet it: installed with pip, found, listed and used."""

from __future__ import annotations

import json

import pytest

# One installation serves all: the tests of a group run in one process.
pytestmark = pytest.mark.xdist_group("example")

LIST = """
import json
from arrkit.backends.registry import list_plugins
print(json.dumps([listing.to_json() for listing in list_plugins()]))
"""

USE = """
import asyncio, json
from pathlib import Path
from arrkit.backends.registry import make_dataset, make_judge, make_policy
from arrkit.data.pairs import Label
from arrkit.judge.protocol import Order, ProposeRequest, RefineRequest, ScoreRequest, Side
from arrkit.judge.protocol import StructureRequest, compare_request
from arrkit.rpo.lora import adapter_hash, add_adapter
from arrkit.rpo.policy import Part
from arrkit.rpo.sample import sample_images
from arrkit.rubric.model import Criterion, Dimension
import torch

async def use():
    pairs = list(make_dataset("bright-dark:test?count=30&ties=0.2&seed=3"))
    judge = make_judge("vivid?margin=0.05")
    told = []
    for pair in pairs:
        for order, first in ((Order.AB, Label.A), (Order.BA, Label.B)):
            verdict = await judge.compare(compare_request(pair, order, ()))
            preferred = {None: Label.TIE, Side.FIRST: first, Side.SECOND: first.swapped}[verdict.preferred]
            told.append(preferred is pair.label)
    pair = next(pair for pair in pairs if pair.label is Label.A)
    ask = ProposeRequest(pair.task, pair.prompt, pair.a, pair.b, Side.FIRST, 5)
    proposal = await judge.propose(ask)
    refined = await judge.refine(RefineRequest(ask, proposal.drafts, "it failed"))
    structure = await judge.structure(StructureRequest(pair.task, proposal.drafts * 2, 5))
    statement = structure.dimensions[0].criteria[0].statement
    known = Dimension("d", "D", (Criterion("light", statement), Criterion("text", "The text is legible.")))
    strange = Dimension("d", "D", (Criterion("text", "The text is legible."),))
    under = await judge.compare(compare_request(pair, Order.AB, (known,)))
    lost = await judge.compare(compare_request(pair, Order.AB, (strange,)))
    scores = await judge.score(ScoreRequest(pair.task, pair.prompt, pair.a, (known,)))
    await judge.aclose()
    policy = make_policy("tint?size=16")
    policy.load(tuple(Part), device=torch.device("cpu"), dtype=torch.float32)
    conditions = policy.encode(policy.prompts("test"))
    wanted = [(at, number) for at in range(len(conditions)) for number in (0, 1)]
    made = dict(sample_images(policy, conditions, wanted, steps=4, seed=1, batch=4))
    add_adapter(policy.transformer, rank=2, alpha=6.0, targets=policy.targets, seed=0)
    again = make_policy("tint")
    again.load(tuple(Part), device=torch.device("cpu"), dtype=torch.float32)
    again.restore(policy.save(Path("run")))
    adapters = [adapter_hash(each.transformer) for each in (policy, again)]
    return {
        "name": judge.name,
        "right": sum(told), "asked": len(told), "ties": sum(pair.label is Label.TIE for pair in pairs),
        "proposal": [draft.statement for draft in proposal.drafts],
        "refined": [draft.statement for draft in refined.drafts],
        "members": [list(c.members) for d in structure.dimensions for c in d.criteria],
        "under": under.outcome, "findings": [finding.answer for finding in under.findings],
        "lost": lost.outcome,
        "scores": [score.score for score in scores.scores],
        "pixels": [made[0, number].getpixel((3, 3)) for number in (0, 1)], "size": made[0, 0].size,
        "kept": adapters[0] == adapters[1], "scale": again.transformer.colour.scaling["default"],
    }

print(json.dumps(asyncio.run(use())))
"""


def test_it_is_found_and_ready(python, example_site):
    done = python("-c", LIST, PYTHONPATH=str(example_site))
    assert done.returncode == 0, done.stderr
    listed = {
        (row["group"], row["name"]): row
        for row in json.loads(done.stdout)
        if row["distribution"] == "arrkit-example"
    }
    assert set(listed) == {
        ("arrkit.judges", "vivid"),
        ("arrkit.policies", "tint"),
        ("arrkit.datasets", "bright-dark"),
    }
    assert {(row["status"], row["version"]) for row in listed.values()} == {("ready", "0.1.0")}


def test_it_is_not_found_where_it_is_not_installed(python):
    done = python("-c", LIST)
    assert "arrkit-example" not in done.stdout


def test_its_judge_policy_and_dataset_work_together(python, example_site):
    done = python("-c", USE, PYTHONPATH=str(example_site))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["name"] == "vivid?margin=0.05"
    assert said["right"] == said["asked"] == 60
    assert 0 < said["ties"] < 30
    assert said["proposal"] == said["refined"] == ["The image is bright."]
    assert said["members"] == [[0, 1]]
    assert (said["under"], said["lost"]) == ("ok", "abstain")
    assert said["findings"] == ["first", "cannot_tell"]
    assert said["scores"][0] > 0.5
    assert said["scores"][1] is None
    first, second = said["pixels"]
    assert first[0] > 150 > max(first[1:])
    assert first != second
    assert said["size"] == [16, 16]
    assert (said["kept"], said["scale"]) == (True, 3.0)


def test_a_broken_neighbour_does_not_stop_it(python, example_site, tmp_path):
    info = tmp_path / "site" / "sloppy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sloppy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[arrkit.judges]\nsloppy = sloppy:judge\n")
    (info.parent / "sloppy.py").write_text("print('spoils the output')\nimport no_such_module\n")
    done = python("-c", LIST, PYTHONPATH=f"{example_site}:{info.parent}")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["vivid"]["status"] == "ready"
    assert rows["sloppy"]["status"] == "broken"
    assert "No module named 'no_such_module'" in rows["sloppy"]["reason"]


def test_the_command_lists_it(python, example_site):
    done = python("-m", "arrkit", "backends", "--json", PYTHONPATH=str(example_site))
    assert done.returncode == 0, done.stderr
    assert {"vivid", "tint", "bright-dark"} <= {row["name"] for row in json.loads(done.stdout)}
