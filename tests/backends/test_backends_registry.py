from __future__ import annotations

import sys
from importlib.metadata import version

import pytest

from arrkit.backends.registry import (
    Group,
    Listing,
    Status,
    list_plugins,
    make_benchmark,
    make_dataset,
    make_judge,
    make_policy,
)
from arrkit.errors import ArrkitError, InputError, RunError

POLICY = """
from arrkit.backends.plugin import Parameter, PolicyPlugin
it = PolicyPlugin(summary="a policy", factory=__name__ + ":make", {more})
def make(spec, **options):
    return Made((spec, options))
class Made(tuple):
    # A policy as far as its names go.
    def __getattr__(self, name):
        return None
"""

PARAMETERS = """parameters={
    "steps": Parameter(8, "how many", low=1, high=50),
    "noise": Parameter(0.0, "how much", low=0, high=1),
    "shift": Parameter(True, "whether"),
    "method": Parameter("sde", "which", choices=("sde", "cps")),
}"""


def policy(more: str = "") -> str:
    return POLICY.replace("{more}", more)


def listed(name: str, group: Group = Group.POLICIES) -> Listing:
    [found] = [listing for listing in list_plugins(group) if listing.name == name]
    return found


def problems(spec: str) -> list[str]:
    with pytest.raises(ArrkitError) as caught:
        make_policy(spec)
    return [str(problem) for problem in caught.value.problems]


def test_what_ships_with_arrkit_comes_through_the_same_door():
    own = [listing for listing in list_plugins() if listing.distribution == "arrkit"]
    assert {(listing.group, listing.name) for listing in own} >= {
        (Group.JUDGES, "shapes"),
        (Group.DATASETS, "shapes-t2i"),
        (Group.DATASETS, "shapes-edit"),
    }
    assert {listing.version for listing in own} == {version("arrkit")}


def test_a_ready_plugin_is_listed_with_all_that_its_record_says(install):
    install("acme", {"arrkit.policies": {"flow": policy(PARAMETERS)}}, version="2.3")
    listing = listed("flow")
    assert (listing.distribution, listing.version, listing.status) == ("acme", "2.3", Status.READY)
    assert (listing.reason, listing.mend) == ("", "")
    as_json = listing.to_json()
    assert as_json["summary"] == "a policy"
    assert as_json["tasks"] == ["t2i", "edit"]
    assert as_json["parameters"]["method"]["choices"] == ["sde", "cps"]


def test_listing_imports_the_record_and_not_the_factory(install):
    install("acme", {"arrkit.policies": {"flow": policy().replace('__name__ + ":make"', '"no_such:make"')}})
    assert listed("flow").status is Status.READY
    with pytest.raises(RunError, match="cannot be imported: ModuleNotFoundError: No module named 'no_such'"):
        make_policy("flow")


def test_options_reach_the_factory_as_values_of_their_type(install):
    install("acme", {"arrkit.policies": {"flow": policy(PARAMETERS)}})
    spec, options = make_policy("flow?steps=12&noise=0.5&shift=no&method=cps")
    assert options == {"steps": 12, "noise": 0.5, "shift": False, "method": "cps"}
    assert str(spec) == "flow?method=cps&noise=0.5&shift=no&steps=12"
    _, defaults = make_policy("flow")
    assert defaults == {"steps": 8, "noise": 0.0, "shift": True, "method": "sde"}


def test_all_that_is_wrong_is_said_at_once(install):
    install("acme", {"arrkit.policies": {"flow": policy(PARAMETERS + ', keys=("ACME_KEY",)')}})
    found = problems("flow:big?stepz=3&noise=1.5&steps=many&method=ode&shift=perhaps")
    assert [text.partition("\n")[0] for text in found] == [
        'policy flow: takes no model, but "big" is given',
        'policy flow: unknown option "stepz" (did you mean "steps"?)',
        "policy flow: noise=1.5 is above 1",
        "policy flow: steps=many is not a whole number",
        'policy flow: method=ode is none of sde, cps (did you mean "sde"?)',
        "policy flow: shift=perhaps is neither true nor false",
        "policy flow: ACME_KEY is not set",
    ]
    assert found[1].endswith("Its options are steps, noise, shift, method.")


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1,5", ""])
def test_a_number_must_be_a_number_within_its_bounds(install, text):
    install("acme", {"arrkit.policies": {"flow": policy(PARAMETERS)}})
    [problem] = problems(f"flow?noise={text}")
    assert f"noise={text} is" in problem


def test_the_value_of_an_unknown_option_is_not_repeated(install):
    install("acme", {"arrkit.policies": {"flow": policy()}})
    [problem] = problems("flow?api_key=sk-secret")
    assert "api_key" in problem
    assert "sk-secret" not in problem


@pytest.mark.parametrize(
    ("record", "spec", "expected"),
    [
        ("model=None", "flow", ""),
        ("model='small'", "flow", "small"),
        ("model='small'", "flow:large", "large"),
        ("model=''", "flow:large", "large"),
    ],
)
def test_the_model_is_as_given_or_the_default(install, record, spec, expected):
    install("acme", {"arrkit.policies": {"flow": policy(record)}})
    assert make_policy(spec)[0].model == expected


def test_a_model_that_must_be_named_is_asked_for_with_an_example(install):
    install("acme", {"arrkit.policies": {"flow": policy("model='', example='flow:acme/large'")}})
    [problem] = problems("flow")
    assert problem == "policy flow: the model is not named\n  Write it after a colon: flow:acme/large"


def test_a_datasets_model_part_is_a_split(install):
    code = """
from arrkit.backends.plugin import DatasetPlugin
it = DatasetPlugin(summary="", factory=__name__ + ":Data", splits=("train", "test"))
class Data(list):
    task = None
    def __init__(self, spec):
        self.name = spec.model
    def size(self):
        return len(self)
"""
    install("acme", {"arrkit.datasets": {"pairs": code}})
    assert make_dataset("pairs").name == "train"
    assert make_dataset("pairs:test").name == "test"
    with pytest.raises(InputError, match=r'unknown split "tets" \(did you mean "test"\?\)'):
        make_dataset("pairs:tets")


def test_an_unknown_name_lists_what_is_installed_and_the_nearest(install):
    install("acme", {"arrkit.benchmarks": {"colours": "", "counting": ""}})
    with pytest.raises(InputError) as caught:
        make_benchmark("countin")
    assert 'unknown benchmark "countin" (did you mean "counting"?)' in str(caught.value)
    assert "Installed benchmarks: colours, counting, dpg, " in str(caught.value)
    with pytest.raises(InputError, match=r'"counting" is a benchmark. Installed judges: .*shapes'):
        make_judge("counting")


def test_a_missing_module_names_the_extra_that_brings_it(install):
    more = 'modules=("json", "no_such_module", "no_such.child"), extra="arrkit[rpo]"'
    install("acme", {"arrkit.policies": {"flow": policy(more)}})
    listing = listed("flow")
    assert listing.status is Status.MISSING_EXTRA
    assert listing.reason == "no_such_module and no_such.child are not installed"
    assert listing.mend == 'pip install "arrkit[rpo]"'
    assert problems("flow") == [f'policy flow: {listing.reason}\n  pip install "arrkit[rpo]"']


def test_one_of_the_keys_is_enough(install, monkeypatch):
    install("acme", {"arrkit.policies": {"flow": policy('keys=("ACME_KEY", "ACME_OTHER")')}})
    listing = listed("flow")
    assert listing.status is Status.MISSING_KEY
    assert listing.mend == "Set ACME_KEY or ACME_OTHER."
    monkeypatch.setenv("ACME_KEY", "")
    assert listed("flow").status is Status.MISSING_KEY
    monkeypatch.setenv("ACME_OTHER", "secret")
    assert listed("flow").status is Status.READY


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("it = (", "SyntaxError"),
        ("other = 1", "AttributeError"),
        ("it = 1", "is of type int, not PolicyPlugin"),
        (policy().replace(' + ":make"', ""), 'is not written as "module:callable"'),
    ],
)
def test_a_broken_plugin_is_reported_with_its_own_error_and_breaks_nothing_else(install, code, reason):
    install("acme", {"arrkit.policies": {"good": policy()}})
    module = install("sloppy", {"arrkit.policies": {"bad": code}})
    bad = listed("bad")
    assert bad.status is Status.BROKEN
    assert reason in bad.reason
    assert bad.mend == f'python -c "import {module}" shows where. pip uninstall sloppy removes it.'
    assert listed("good").status is Status.READY
    assert make_policy("good")
    assert f"the plug-in of sloppy 1.0 is broken: {bad.reason}" in problems("bad")[0]


def test_what_a_plugin_prints_while_it_is_imported_does_not_reach_stdout(install, capsys):
    install("acme", {"arrkit.policies": {"loud": "print('hello')\n" + policy()}})
    assert listed("loud").status is Status.READY
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_a_factory_that_fails_is_named_with_its_error(install):
    code = policy().replace("return Made((spec, options))", "raise ValueError('no disk')")
    install("acme", {"arrkit.policies": {"flow": code}})
    with pytest.raises(RunError, match=r"policy flow: the plug-in of acme 1.0 failed: ValueError: no disk"):
        make_policy("flow")


def test_a_factorys_own_arrkit_error_is_passed_on(install):
    code = policy().replace("return Made((spec, options))", "raise E('not here')")
    install("acme", {"arrkit.policies": {"flow": "from arrkit.errors import InputError as E\n" + code}})
    with pytest.raises(InputError, match=r"^not here$"):
        make_policy("flow")


def test_a_judge_without_an_operation_is_refused_when_it_is_made(install):
    code = """
from arrkit.backends.plugin import JudgePlugin
it = JudgePlugin(summary="", factory=__name__ + ":Half")
class Half:
    name = "half"
    def __init__(self, spec): pass
    async def compare(self, request): pass
    async def score(self, request): pass
    async def aclose(self): pass
"""
    install("acme", {"arrkit.judges": {"half": code}})
    with pytest.raises(RunError, match="made a Half, which has no propose, refine and no structure"):
        make_judge("half")


@pytest.mark.parametrize(
    ("limit", "loaded"),
    [
        (None, {"one", "two", "three"}),
        ("", set()),
        ("one", {"one"}),
        (" one , three ", {"one", "three"}),
        ("Acme_Tools", {"one", "two"}),
        ("nobody", set()),
    ],
)
def test_arrkit_plugins_limits_what_others_bring(install, monkeypatch, limit, loaded):
    install("acme-tools", {"arrkit.policies": {"one": policy(), "two": policy()}})
    install("other", {"arrkit.policies": {"three": policy()}})
    if limit is not None:
        monkeypatch.setenv("ARRKIT_PLUGINS", limit)
    found = {listing.name: listing for listing in list_plugins(Group.POLICIES)}
    ready = {name for name in ("one", "two", "three") if found[name].status is Status.READY}
    assert ready == loaded
    assert all(found[name].status is Status.OFF for name in {"one", "two", "three"} - loaded)
    shapes = [listing for listing in list_plugins(Group.JUDGES) if listing.name == "shapes"]
    assert shapes[0].status is not Status.OFF


def test_a_plugin_that_is_off_is_not_imported_and_says_how_to_turn_it_on(install, monkeypatch):
    module = install("acme", {"arrkit.policies": {"flow": policy()}})
    monkeypatch.setenv("ARRKIT_PLUGINS", "other")
    listing = listed("flow")
    assert listing.reason == 'ARRKIT_PLUGINS="other" leaves it out'
    assert listing.mend == "Add flow or acme to ARRKIT_PLUGINS, or unset it."
    assert listing.mend in problems("flow")[0]
    assert module not in sys.modules


def test_two_packages_with_one_name_are_both_refused_until_one_is_meant(install, monkeypatch):
    install("acme", {"arrkit.policies": {"flow": policy("model='acme'")}})
    install("other", {"arrkit.policies": {"flow": policy("model='other'")}})
    both = [listing for listing in list_plugins(Group.POLICIES) if listing.name == "flow"]
    assert [(each.distribution, each.status) for each in both] == [
        ("acme", Status.BROKEN),
        ("other", Status.BROKEN),
    ]
    assert both[0].reason == 'other has a plug-in "flow" too'
    assert both[0].mend == "pip uninstall other, or set ARRKIT_PLUGINS=acme."
    assert both[0].reason in problems("flow")[0]
    monkeypatch.setenv("ARRKIT_PLUGINS", "other")
    assert make_policy("flow")[0].model == "other"


def test_arrkits_own_names_cannot_be_taken(install):
    install("acme", {"arrkit.judges": {"shapes": "raise RuntimeError"}})
    mine, theirs = sorted(
        (listing for listing in list_plugins(Group.JUDGES) if listing.name == "shapes"),
        key=lambda listing: listing.distribution != "arrkit",
    )
    assert mine.distribution == "arrkit"
    assert (theirs.status, theirs.reason) == (Status.BROKEN, 'the name "shapes" belongs to arrkit itself')
    assert make_judge("shapes").name.startswith("shapes")


def test_one_name_in_two_groups_is_no_clash(install):
    dataset = (
        "from arrkit.backends.plugin import DatasetPlugin\nit = DatasetPlugin(summary='', factory='a:b')"
    )
    install("acme", {"arrkit.policies": {"flow": policy()}, "arrkit.datasets": {"flow": dataset}})
    assert listed("flow").status is Status.READY
    assert listed("flow", Group.DATASETS).status is Status.READY


def test_listing_needs_no_working_plugin_at_all(monkeypatch):
    monkeypatch.setattr("arrkit.backends.listing.entry_points", lambda group: ())
    assert list_plugins() == ()
    with pytest.raises(InputError, match="No policies are installed"):
        make_policy("flow")


def test_what_is_no_policy_is_named_by_what_it_lacks(install):
    code = policy().replace("return Made((spec, options))", "return spec")
    install("acme", {"arrkit.policies": {"flow": code}})
    [problem] = problems("flow")
    assert "made a Spec, which has no task, targets, suggested" in problem
    assert "identity" not in problem
