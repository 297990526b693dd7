"""Small copies of the repositories of TIIF-Bench and UniGenBench++: their forms, with words of our own."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from arrkit.bench.tiif import GROUPS

EXPECTED = (("yes", "No"), ("YES ",))
"""The expected answers to the first and the second prompt of every dimension of TIIF-Bench."""


def write_tiif(folder: Path, *, split: str = "testmini", without: Sequence[str] = ()) -> Path:
    """Two prompts for each dimension, two questions to the first and one to the second."""
    for dimension in (each for dimensions in GROUPS.values() for each in dimensions):
        if dimension in without:
            continue
        prompts = [
            {
                "type": dimension,
                "short_description": f"{dimension} {line}",
                "long_description": f"a long text about {dimension} {line}",
            }
            for line in range(2)
        ]
        asked = [
            {
                "type": dimension,
                "yn_question_list": [
                    f"Is {dimension} {line}.{each} there? " for each in range(len(expected))
                ],
                "yn_answer_list": list(expected),
            }
            for line, expected in enumerate(EXPECTED)
        ]
        write_lines(folder / f"data/{split}_prompts/{dimension}_prompts.jsonl", prompts)
        write_lines(folder / f"data/{split}_eval_prompts/{dimension}_eval_prompts.jsonl", asked)
    return folder


def write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """JSON lines, with a blank one at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n", "utf-8")


TIIF_SCRIPT = '''\
import no_such_package_at_all

raw_prompt = """First wording.
##YNQuestions##
"""
raw_prompt_1 = "Second wording.\\n##YNQuestions##\\n"
raw_prompt_2 = "Third wording.\\n##YNQuestions##\\n"

def ask(prompt, url):
    return [
        {"role": "system", "content": "You look at pictures for a living."},
        {"role": "user", "content": [{"type": "text", "text": prompt}]},
    ]
'''


def write_file(path: Path, text: str) -> Path:
    """A file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def write_unigen(folder: Path, name: str, rows: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """A set: a prompt and its test points for each row."""
    keys = ("考点", "考点对应描述") if name.startswith("zh") else ("Testpoints", "Testpoint Description")
    texts = [
        json.dumps(
            {keys[0]: list(points), keys[1]: [f"what {each} is here" for each in points]}, ensure_ascii=False
        )
        for _, points in rows
    ]
    return write_unigen_texts(
        folder, name, [(prompt, text) for (prompt, _), text in zip(rows, texts, strict=True)]
    )


def write_unigen_texts(folder: Path, name: str, rows: Sequence[tuple[str, str]], *, start: int = 0) -> Path:
    """A set whose test points are given as text."""
    path = folder / "data" / f"test_prompts_{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    language = name.removesuffix("_long")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["index", f"prompt_{language}", f"sub_dims_{language}"])
        writer.writerows([index, *row] for index, row in enumerate(rows, start=start))
    return folder


def unigen_script(names: Mapping[str, Sequence[str]]) -> str:
    """A script with the constants of the official one; ``names`` are the dimensions by language."""
    lines = ["import no_such_package_at_all"]
    for language, points in names.items():
        meanings = {point: f"meaning of {point}" for point in points}
        lines.append(f"MEANINGS_{language.upper()} = {meanings!r}")
    lines.append('TEMPLATE = """Prompt {prompt}; points {testpoint}; {explanation}; {test_explanation}."""')
    lines.append("LANG_CONFIGS = {")
    headers = '"checkpoint_header": "Kinds", "checkpoint_desc_header": "Here"'
    lines += [
        f'    "{language}": {{"explanation_dict": MEANINGS_{language.upper()}, '
        f'"system_prompt_template": TEMPLATE, {headers}}},'
        for language in names
    ]
    return "\n".join([*lines, "}", ""])
