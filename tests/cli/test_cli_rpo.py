"""``arrkit rpo preprocess`` and ``arrkit rpo sample`` through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from arrkit.backends.policies.pipeline import PipelinePolicy
from arrkit.backends.registry import make_dataset, make_policy
from arrkit.cli.app import app
from arrkit.cli.several import arguments_of, starts_processes
from arrkit.commands import rpo_policies
from arrkit.data.pairs import Task
from arrkit.rpo.lora import add_adapter
from arrkit.rpo.options import Precision, PreprocessOptions, SampleOptions
from arrkit.rpo.policy import Part
from arrkit.rpo.rollout import seed_of
from arrkit.rpo.sample import usual_steps
from arrkit.rpo.store import open_store

pytestmark = pytest.mark.xdist_group("torch")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def arrkit() -> Callable[..., Result]:
    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, ["rpo", *map(str, arguments)])

    return run


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_pipelines

    return tiny_pipelines.tiny_flux(tmp_path_factory.mktemp("flux"))


def texts(folder: Path, *lines: str) -> Path:
    (folder / "p.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder / "p.txt"


# preprocess


def test_prompts_are_encoded_and_the_bytes_of_each_are_told(arrkit, folder):
    texts(folder, "a red circle", "a blue square", "a red circle")
    result = arrkit("preprocess", "--policy", "shapes", "--prompts", "p.txt", "--out", "d", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["prompts"], said["encoded"], said["conditions"], said["problems"]) == (3, 2, 2, [])
    shards = [*(folder / "d" / "shards").glob("*.safetensors")]
    assert said["bytes"] == sum(shard.stat().st_size for shard in shards)
    assert said["bytes_each"] == round(said["bytes"] / 2)
    again = arrkit("preprocess", "--policy", "shapes", "--prompts", "p.txt", "--out", "d")
    assert "3 prompts, 0 encoded now" in again.stdout
    assert "kB a condition" in again.stdout
    assert len(open_store(folder / "d", make_policy("shapes")).prompts) == 3


def test_bad_prompts_are_listed_by_line_at_the_end_and_the_good_ones_are_kept(arrkit, folder):
    texts(folder, "a red circle", "a zebra", "a blue square")
    result = arrkit("preprocess", "--policy", "shapes", "--prompts", "p.txt", "--out", "d")
    assert result.exit_code == 1
    assert "p.txt:2: " in result.stderr
    assert "zebra" in result.stderr
    assert "1 problem. The other prompts are in d." in result.stderr
    kept = open_store(folder / "d", make_policy("shapes")).prompts
    assert [prompt.text for prompt in kept] == ["a red circle", "a blue square"]


def test_where_no_prompt_can_be_used_the_command_fails_as_input(arrkit, folder):
    texts(folder, "a zebra")
    result = arrkit("preprocess", "--policy", "shapes", "--prompts", "p.txt", "--out", "d")
    assert (result.exit_code, "p.txt:1: " in result.stderr) == (2, True)
    result = arrkit("preprocess", "--policy", "shapes", "--prompts", texts(folder), "--out", "d")
    assert (result.exit_code, "holds no prompts" in result.stderr) == (2, True)


def test_rows_of_edits_with_missing_and_unreadable_sources_are_listed_together(arrkit, folder):
    pair = next(iter(make_dataset("shapes-edit:train?n=1")))
    pair.sources[0].load().save(folder / "good.png")
    (folder / "text.png").write_text("no image")
    rows = [
        {"instruction": pair.prompt, "source": name, "id": name}
        for name in ("good.png", "gone.png", "text.png")
    ]
    rows += [{"instruction": "", "source": "good.png"}]
    (folder / "e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = arrkit("preprocess", "--policy", "shapes?task=edit", "--prompts", "e.jsonl", "--out", "d")
    assert result.exit_code == 1, result.output
    for line in (2, 3, 4):
        assert f"e.jsonl:{line}: " in result.stderr
    assert "e.jsonl:1: " not in result.stderr
    store = open_store(folder / "d", make_policy("shapes?task=edit"))
    assert [prompt.id for prompt in store.prompts] == ["good.png"]
    assert store.prompts[0].task is Task.EDIT


def test_a_folder_of_another_policy_is_refused(arrkit, folder):
    texts(folder, "a red circle")
    assert arrkit("preprocess", "--policy", "shapes", "--prompts", "p.txt", "--out", "d").exit_code == 0
    result = arrkit("preprocess", "--policy", "shapes?size=128", "--prompts", "p.txt", "--out", "d")
    assert result.exit_code == 2
    assert "size 96, not 128" in result.stderr


def test_a_real_pipelines_conditions_come_from_its_encoders_alone(arrkit, folder, flux, monkeypatch):
    texts(folder, "a red circle", "x" * 60)
    spec = f"flux:{flux}?size=32&max_sequence_length=40"
    loaded: list[Part] = []
    load = PipelinePolicy.load
    monkeypatch.setattr(
        PipelinePolicy,
        "load",
        lambda self, parts, **place: loaded.extend(parts) or load(self, parts, **place),
    )
    result = arrkit("preprocess", "--policy", spec, "--prompts", "p.txt", "--out", "d", "--precision", "fp32")
    assert set(loaded) == {Part.ENCODERS}
    assert result.exit_code == 1, result.output
    assert "p.txt:2: " in result.stderr  # over the encoder's limit: told, not cut
    policy = make_policy(spec)
    store = open_store(folder / "d", policy)
    (prompt,) = store.prompts
    policy.load([Part.ENCODERS], device=torch.device("cpu"), dtype=torch.float32)
    (expected,) = policy.encode([prompt])
    read = store.condition(prompt)
    assert read.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(read.tensors[name], each) for name, each in expected.tensors.items())


# sample


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_images_depend_on_seed_prompt_and_number_alone(arrkit, folder):
    texts(folder, "a red circle", "a blue square")
    for name, arguments in {
        "one": ["--count", "3", "--batch", "1"],
        "all": ["--count", "3", "--batch", "6"],
        "few": ["--count", "1"],
        "other": ["--count", "1", "--seed", "1"],
    }.items():
        result = arrkit("sample", "--policy", "shapes", "--prompts", "p.txt", "--out", name, *arguments)
        assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (folder / "all" / "samples.jsonl").read_text().splitlines()]
    assert [(row["prompt"], row["image"]) for row in rows] == [
        (text, image) for text in ("a red circle", "a blue square") for image in range(3)
    ]
    assert {(row["steps"], row["seed"], row["lora"], row["policy"]) for row in rows} == {(8, 0, "", "shapes")}
    pictures = {path: pixels(path).astype(int) for path in folder.glob("*/*.png")}
    assert len(pictures) == 6 + 6 + 2 + 2
    # A larger batch sums in another order: a hair's breadth on an edge, no more.
    for row in rows:
        apart = np.abs(pictures[folder / "one" / row["file"]] - pictures[folder / "all" / row["file"]])
        assert apart.mean() < 0.1
    one, few, other = (pictures[folder / name / "00001-0.png"] for name in ("one", "few", "other"))
    assert np.abs(one - few).mean() < 0.1
    assert np.abs(one - other).mean() > 1


def test_a_real_pipeline_paints_what_it_would_by_itself(arrkit, folder, flux):
    from diffusers import FluxPipeline

    result = arrkit(
        *("sample", "--policy", f"flux:{flux}?size=32&max_sequence_length=40", "--out", "s", "--seed", "5"),
        *("--prompt", "a red circle", "--prompt", "two", "--steps", "3", "--batch", "1"),
    )
    assert result.exit_code == 0, result.output
    pipeline = FluxPipeline.from_pretrained(flux)
    pipeline.set_progress_bar_config(disable=True)
    for number, text in enumerate(["a red circle", "two"]):
        generator = torch.Generator().manual_seed(seed_of(5, "sample", number, 0))
        expected = pipeline(
            text, height=32, width=32, num_inference_steps=3, max_sequence_length=40, generator=generator
        ).images[0]
        assert np.array_equal(pixels(folder / "s" / f"{number:05d}-0.png"), np.asarray(expected))


def test_the_usual_steps_are_those_of_the_pipeline(flux):
    assert usual_steps(make_policy("shapes")) == 8
    assert usual_steps(make_policy(f"flux:{flux}")) == 28


def test_an_adapter_is_found_in_a_file_or_a_folder_and_changes_the_images(arrkit, folder):
    policy = make_policy("shapes")
    policy.load([Part.TRANSFORMER], device=torch.device("cpu"), dtype=torch.float32)
    add_adapter(policy.transformer, rank=2, alpha=8.0, targets=policy.targets, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.transformer.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.5, generator=generator)
    policy.save(folder / "run" / "checkpoint-2")
    asked = ("sample", "--policy", "shapes", "--prompt", "a red circle")
    missing = arrkit(*asked, "--lora", "run", "--out", "none")
    assert missing.exit_code == 2
    assert "--lora run/checkpoint-2" in missing.stderr
    file = folder / "run" / "checkpoint-2" / "pytorch_lora_weights.safetensors"
    for name, lora in {"base": None, "file": file, "folder": file.parent}.items():
        result = arrkit(*asked, "--out", name, *([] if lora is None else ["--lora", lora]))
        assert result.exit_code == 0, result.output
    assert np.array_equal(pixels(folder / "file" / "00000-0.png"), pixels(folder / "folder" / "00000-0.png"))
    assert not np.array_equal(
        pixels(folder / "file" / "00000-0.png"), pixels(folder / "base" / "00000-0.png")
    )


def test_what_was_painted_is_only_replaced_by_force(arrkit, folder):
    asked = ("sample", "--policy", "shapes", "--prompt", "a red circle", "--out", "s")
    assert arrkit(*asked, "--count", "2").exit_code == 0
    (folder / "s" / "notes.txt").write_text("mine")
    assert arrkit(*asked).exit_code == 2
    assert arrkit(*asked, "--force").exit_code == 0
    assert sorted(path.name for path in (folder / "s").iterdir()) == [
        "00000-0.png",
        "notes.txt",
        "samples.jsonl",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompt", "a red circle", "--prompts", "p.txt"], "both given"),
        (["--prompt", " "], "the prompt is empty"),
        (["--prompts", "gone.txt"], "does not exist"),
        (["--prompt", "a red circle", "--lora", "gone"], "gone does not exist"),
        (["--prompt", "a red circle", "--prompt", "a zebra"], "--prompt 2: "),
        (["--prompt", "a red circle", "--device", "nonsense"], "there is no device"),
    ],
)
def test_what_cannot_be_painted_is_refused(arrkit, folder, arguments, says):
    texts(folder, "a red circle")
    result = arrkit("sample", "--policy", "shapes", "--out", "s", *arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not [*folder.glob("s/*")]


def test_an_unknown_policy_is_refused_with_the_nearest_name(arrkit):
    result = arrkit("sample", "--policy", "shape", "--prompt", "a red circle")
    assert (result.exit_code, '"shapes"' in result.stderr) == (2, True)


# without the extra, and in several processes


@pytest.mark.parametrize("command", ["preprocess", "sample", "train"])
def test_without_the_extra_one_sentence_says_what_to_install(arrkit, folder, monkeypatch, command):
    found = rpo_policies.importlib.util.find_spec
    monkeypatch.setattr(
        rpo_policies.importlib.util,
        "find_spec",
        lambda name: None if name in ("torch", "peft") else found(name),
    )
    texts(folder, "a red circle")
    arguments = {"preprocess": ["--prompts", "p.txt", "--out", "d"]}.get(command, [])
    result = arrkit(command, "--policy", "shapes", *arguments)
    assert result.exit_code == 2
    assert (
        result.stderr
        == 'arrkit rpo needs torch, peft, which are not installed\n  pip install "arrkit[rpo]"\n'
    )


def test_launching_gives_each_process_the_same_options_wherever_they_came_from(arrkit, folder, monkeypatch):
    started: list[tuple[list[str], int]] = []
    monkeypatch.setattr(
        "arrkit.rpo.launching.launch",
        lambda arguments, processes: started.append((arguments, processes)) or 7,
    )
    (folder / "arrkit.toml").write_text('[rpo.preprocess]\nlimit = 3\nprecision = "fp32"\n')
    result = arrkit(
        *("preprocess", "--policy", "shapes", "--prompts", "-p.txt", "--out", "d", "--launch", "2", "--json")
    )
    assert result.exit_code == 7, result.output
    ((arguments, processes),) = started
    assert processes == 2
    assert arguments[:2] == ["rpo", "preprocess"]
    assert set(arguments[2:]) == {
        *("--policy=shapes", "--prompts=-p.txt", "--out=d", "--limit=3", "--precision=fp32", "--json")
    }
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not starts_processes(2)  # one of those that were started starts no others


def test_options_survive_the_way_to_another_process():
    options = SampleOptions(policy="shapes", prompt=("a", "--b"), force=True, precision=Precision.BF16)
    assert [*arguments_of(options)] == [
        *("--policy=shapes", "--prompt=a", "--prompt=--b", "--force", "--precision=bf16")
    ]
    assert "--launch" not in str(
        [*arguments_of(PreprocessOptions(policy="s", prompts=Path("p"), out=Path("o"), launch=4))]
    )


@pytest.mark.parametrize("command", ["", "train", "preprocess"])
def test_help_imports_neither_torch_nor_images(python, command):
    code = f"""
import sys
from arrkit.__main__ import main
sys.argv = [word for word in ("arrkit", "rpo", "{command}", "--help") if word]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {{"torch", "diffusers", "transformers", "peft", "accelerate", "safetensors", "numpy", "PIL"}}
print(heavy & {{name.split(".")[0] for name in sys.modules}})
"""
    done = python("-c", code)
    assert done.stdout.splitlines()[-1:] == ["set()"], done.stderr
