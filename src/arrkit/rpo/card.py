"""The model card: the ``README.md`` beside an adapter, as users of diffusers and the Hub expect it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from arrkit import __version__
from arrkit.data.pairs import Task
from arrkit.rpo.against import Comparison, Evaluation
from arrkit.rpo.recipe import Algorithm, Recipe, Reward
from arrkit.rubric.model import Rate

_METHODS = {Algorithm.RPO: "RPO", Algorithm.FLOW_GRPO: "Flow-GRPO"}
_PIPELINE_TAGS = {Task.T2I: "text-to-image", Task.EDIT: "image-to-image"}
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class CardPicture:
    """A picture that the trained model painted: its prompt, and its file as seen from the card."""

    prompt: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card tells.

    Args:
        policy: the policy's spec, for arrkit's own commands.
        base_model: what diffusers loads the base model by (a Hub name or a folder); empty for a model that is
            not part of diffusers.
        rubric, digest: the rubric that was trained on; both empty where the judge wrote criteria itself.
        criteria: the statements of its criteria by their ids.
        updates: optimiser updates done.
        evaluation: the last comparison with the base model.
        alarms: the messages of alarms that went off.
        sheet: the before/after sheet, as seen from the card; or empty.
        seed: of the run.
    """

    policy: str
    task: Task
    base_model: str = ""
    judge: str
    rubric: str = ""
    digest: str = ""
    criteria: Mapping[str, str] = field(default_factory=dict)
    recipe: Recipe
    updates: int
    seed: int
    evaluation: Evaluation | None = None
    alarms: Sequence[str] = ()
    sheet: str = ""
    pictures: Sequence[CardPicture] = ()


def model_card(facts: CardFacts) -> str:
    """The text of the card: YAML front matter, the result, how to use the adapter, how it was made."""
    parts = [
        f"---\n{_front_matter(facts)}---",
        f"# {_title(facts)}",
        _lead(facts),
        f"![Before and after training]({facts.sheet})" if facts.sheet else "",
        _result(facts),
        "## Use it\n\n" + _use(facts),
        "## How it was trained\n\n" + _training(facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(facts: CardFacts) -> str:
    name = facts.base_model.rstrip("/").rpartition("/")[2] or facts.policy.partition("?")[0]
    return (
        f"{name}, trained against the rubric {facts.rubric}"
        if facts.rubric
        else f"{name}, trained by {_METHODS[facts.recipe.algorithm]}"
    )


def _front_matter(facts: CardFacts) -> str:
    kind = _PIPELINE_TAGS[facts.task]
    content: dict[str, object] = {}
    # The Hub refuses a card whose base model is not one of its own.
    if _HUB_NAME.fullmatch(facts.base_model) and not Path(facts.base_model).exists():
        content |= {"base_model": facts.base_model, "base_model_relation": "adapter"}
    content |= {
        "library_name": "diffusers" if facts.base_model else "arrkit",
        "pipeline_tag": kind,
        "tags": [
            kind,
            *(["diffusers", "diffusers-training"] if facts.base_model else []),
            "lora",
            "template:sd-lora",
            str(facts.recipe.algorithm),
            "arrkit",
        ],
    }
    if facts.pictures:
        content["widget"] = [
            {"text": picture.prompt, "output": {"url": picture.file}} for picture in facts.pictures
        ]
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def _lead(facts: CardFacts) -> str:
    base = f"`{facts.base_model or facts.policy}`"
    under = f"the rubric `{facts.rubric}`" if facts.rubric else "criteria that it wrote for each prompt"
    recipe = facts.recipe
    pairs = recipe.algorithm is Algorithm.RPO
    method = "Rubric Policy Optimization" if pairs else "Flow-GRPO"
    what = "pairs of images" if pairs else f"groups of {recipe.group} images"
    done = {
        Reward.PAIRWISE: f"compared them under {under}, in both orders",
        Reward.WEIGHTED: f"scored each of them under {under}, whose weights sum the scores to a reward",
        Reward.MIXTURE: f"scored each of them under {under} and compared them in both orders",
    }[recipe.reward]
    return (
        f"A LoRA adapter for {base}, trained online with {method}: the model painted {what}, and the judge "
        f"`{facts.judge}` {done}."
    )


def _result(facts: CardFacts) -> str:
    if facts.evaluation is None or facts.evaluation.training.win_rate is None:
        return "## Result\n\nIt was not compared with its base model."
    found = facts.evaluation.training
    lines = [
        f"On {_prompts(found)} that it was not trained on, painted from the same noise as by the base model, "
        f"its win-rate against the base model is **{_rate(found.win_rate)}**: {found.wins} won, "
        f"{found.ties} tied, {found.losses} lost"
        + (f", {found.failures} without a verdict." if found.failures else ".")
        + " A tie counts half; 50 % is no better."
    ]
    if found.consistency is not None:
        lines.append(
            f"Each pair was shown in both orders; in {_rate(found.consistency)} the judge said the same."
        )
    watched = facts.evaluation.watched
    if watched is not None:
        lines.append(f"Under a second rubric, which it was not trained on: {_rate(watched.win_rate)}.")
    body = "## Result\n\n" + " ".join(lines)
    if found.criteria:
        rows = [
            f"| {_cell(facts.criteria.get(name, name))} | {_rate(rate)} |"
            for name, rate in found.criteria.items()
        ]
        body += "\n\n| by criterion alone | win-rate |\n| --- | --- |\n" + "\n".join(rows)
    if facts.alarms:
        body += "\n\n**Look at these before you use it:**\n\n"
        body += "\n".join(f"- {_cell(message)}" for message in facts.alarms)
    return body


def _use(facts: CardFacts) -> str:
    sample = f"arrkit rpo sample --policy {shlex.quote(facts.policy)} --lora . --prompt '...' --out samples"
    if not facts.base_model:
        return f"```sh\n{sample}\n```"
    asked = json.dumps(facts.pictures[0].prompt if facts.pictures else "...", ensure_ascii=False)
    call = f"image = pipe({asked}).images[0]"
    imports = ""
    if facts.task is Task.EDIT:
        imports = "from diffusers.utils import load_image\n"
        call = f'image = pipe(image=load_image("source.png"), prompt={asked}).images[0]'
    return (
        "```python\nimport torch\nfrom diffusers import DiffusionPipeline\n"
        f"{imports}\n"
        f"pipe = DiffusionPipeline.from_pretrained({json.dumps(facts.base_model, ensure_ascii=False)}, "
        "torch_dtype=torch.bfloat16)\n"
        'pipe.load_lora_weights(".")  # this folder, or its name on the Hub\n'
        'pipe.to("cuda")\n'
        f'{call}\nimage.save("image.png")\n```\n\n'
        f"Or without writing any: `{sample}`"
    )


def _training(facts: CardFacts) -> str:
    rows = [
        ("base model", facts.base_model or facts.policy),
        ("rubric", facts.rubric or "written by the judge for each prompt"),
        ("rubric digest", facts.digest),
        ("judge", facts.judge),
        ("updates", str(facts.updates)),
        ("seed", str(facts.seed)),
        ("arrkit", __version__),
    ]
    names = {"pairs": "pairs a rollout", "updates": "updates a rollout"}
    recipe = {name: value for name, value in asdict(facts.recipe).items() if name != "max_steps"}
    rows += [
        (names.get(name, name.replace("_", " ")), f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in recipe.items()
    ]
    table = "\n".join(f"| {name} | {_code(value)} |" for name, value in rows if value)
    return f"With `arrkit rpo train`.\n\n| setting | value |\n| --- | --- |\n{table}"


def _prompts(found: Comparison) -> str:
    count = found.wins + found.ties + found.losses
    return f"{count} prompt{'s' * (count != 1)}"


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "not known"
    return (
        f"{100 * rate.value:.1f} % (95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f}, n {rate.n})"
    )


def _cell(text: str) -> str:
    """``text`` in one line that neither ends a table's cell nor begins markup."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    plain = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return f"`{plain}`"
