"""The dimensions of UniGenBench++, and how a judge is asked about an image's test points.

In our own words, or in those of ``eval/src/eval_common.py`` in a copy of
https://github.com/CodeGoat24/UniGenBench: its ``LANG_CONFIGS`` with the templates and the definitions in it.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from arrkit.bench.sources import Home, Literal, constants, official_file
from arrkit.canonical import Json, digest
from arrkit.errors import InputError
from arrkit.judge.prompts.parts import fenced, line

SCRIPT = "eval/src/eval_common.py"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A kind of test point: its names in the English and the Chinese files, and what we say it means."""

    en: str
    zh: str
    meaning_en: str
    meaning_zh: str

    @property
    def primary(self) -> str:
        """The English name of the primary dimension: what stands before the first hyphen."""
        return self.en.split("-", 1)[0].strip()


DIMENSIONS = (
    Dimension(
        "Style",
        "风格",
        "the manner of the picture: a medium, a movement, a photographic or design style, an artist's hand",
        "画面的手法：媒介、艺术流派、摄影或设计样式、某位艺术家的笔触",
    ),
    Dimension(
        "World Knowledge",
        "世界知识",
        "a person, place, work or term of the real world, which must look as it is known to look",
        "现实世界中的人物、地点、作品或概念，样子须与公认的一致",
    ),
    Dimension(
        "Logical Reasoning",
        "逻辑推理",
        "what follows from the prompt without being said, and must have been worked out",
        "提示词没有明说、需要推断才能得出的内容",
    ),
    Dimension(
        "Text Generation",
        "文本生成",
        "written words: every character there and in order, none added",
        "画面中的文字：字符齐全、次序正确、没有多余",
    ),
    Dimension(
        "Attribute - Quantity",
        "属性-数量",
        "how many there are; count them",
        "数目，需要逐个清点",
    ),
    Dimension(
        "Attribute - Expression",
        "属性-表情",
        "a face that shows a definite emotion, not only a movement of the face",
        "脸上流露出明确的情绪，而不只是面部动作",
    ),
    Dimension("Attribute - Material", "属性-材质", "what something is made of", "物体由什么材料制成"),
    Dimension(
        "Attribute - Size",
        "属性-大小",
        "how large, high, long, thick or wide something is",
        "物体的大小、高矮、长短、粗细或宽窄",
    ),
    Dimension("Attribute - Shape", "属性-形状", "the shape of something", "物体的形状"),
    Dimension("Attribute - Color", "属性-颜色", "the colour of something", "物体的颜色"),
    Dimension(
        "Action - Hand (Character/Anthropomorphic)",
        "动作-人物/拟人手部动作",
        "what the hands of a person or personified figure do; they must be whole, with the right fingers",
        "人物或拟人形象的手在做什么；手须完整，手指数目与形态正确",
    ),
    Dimension(
        "Action - Full-body (Character/Anthropomorphic)",
        "动作-人物/拟人全身动作",
        "what a person or personified figure does with the whole body",
        "人物或拟人形象用整个身体所做的动作",
    ),
    Dimension("Action - Animal", "动作-动物动作", "what an animal does", "动物在做什么"),
    Dimension(
        "Action - Contact Interaction",
        "动作-实体间有接触互动",
        "things or figures act on each other and touch",
        "彼此作用并且相互接触",
    ),
    Dimension(
        "Action - Non-contact Interaction",
        "动作-实体间无接触互动",
        "things or figures act on each other without touching, by a look for example",
        "彼此作用但不接触，例如目光相对",
    ),
    Dimension(
        "Action - State",
        "动作-状态",
        "a state that lasts, usually named by a verb",
        "持续的状态，通常由动词说出",
    ),
    Dimension(
        "Relationship - Comparison",
        "关系-比较关系",
        "how two things compare in some property",
        "两者在某一性质上的对比",
    ),
    Dimension(
        "Relationship - Composition",
        "关系-构成关系",
        "a thing made up of other things",
        "一物由其他事物组成",
    ),
    Dimension(
        "Relationship - Inclusion",
        "关系-包含关系",
        "one thing within another, which may be flat, such as a picture",
        "一物处于另一物之中，后者也可以是平面，例如画",
    ),
    Dimension(
        "Relationship - Similarity",
        "关系-相似关系",
        "different things that are alike in the way described",
        "不同事物之间如描述般相像",
    ),
    Dimension(
        "Compound - Imagination",
        "复合考点-想象力",
        "something that cannot be in reality, shown as described",
        "现实中不可能存在的事物，如描述般呈现",
    ),
    Dimension(
        "Compound - Feature Matching",
        "复合考点-不同实体特征匹配",
        "several things with different properties, each with its own",
        "多个事物各有不同特征，特征与事物一一对应",
    ),
    Dimension(
        "Grammar - Negation",
        "语法-否定",
        "what the prompt rules out, which must be absent",
        "提示词否定的内容不得出现",
    ),
    Dimension(
        "Grammar - Pronoun Reference",
        "语法-代词指代",
        "what is said by way of a pronoun, which must belong to whom the pronoun means",
        "用代词说出的内容，须落在代词所指的对象上",
    ),
    Dimension(
        "Grammar - Consistency",
        "语法-统一性",
        "a property that several things share, seen on all of them",
        "多个事物共有的特征，在每一个上都能看到",
    ),
    Dimension(
        "Entity Layout - Two-Dimensional Space",
        "实体布局-二维空间",
        "where things lie on the plane of the picture",
        "事物在画面平面上的位置",
    ),
    Dimension(
        "Entity Layout - Three-Dimensional Space",
        "实体布局-三维空间",
        "where things lie in depth: before, behind, near, far",
        "事物在纵深中的位置：前后、远近",
    ),
)

BY_NAME: Mapping[str, Dimension] = {name: each for each in DIMENSIONS for name in (each.en, each.zh)}
"""The dimension of a test point as the English and the Chinese files call it."""

PRIMARIES = tuple(dict.fromkeys(each.primary for each in DIMENSIONS))

SYSTEM_EN = """\
You check images against the prompts they were generated from. You are given a prompt and a numbered list \
of points that its image must meet: of each the kind, what that kind means, and what of this prompt it \
stands for.

Look at the image and decide on each point by itself. A point is met only where the image plainly shows it. \
Go by what can be seen, add no story, and count nothing as shown that is unclear, hidden or only hinted at.

Answer in exactly this form:

<checks>
<analysis>["what the image shows of point 1", "what the image shows of point 2"]</analysis>
<score>[1, 0]</score>
</checks>

Both are lists with one entry for each point, in the order of the points: in the first a short text in \
double quotes, in the second 1 for a point that is met and 0 for one that is not."""

SYSTEM_ZH = """\
你负责核对图像是否符合生成它的提示词。你会得到一条提示词，以及一份编号的要点清单；每个要点都写明类别、该类别的含义，\
以及它对应提示词中的哪些内容。

请仔细观看图像，对每个要点单独作出判断。只有图像清楚呈现的内容才算满足。以看得见的内容为准，不要编造情节；\
模糊、被遮挡或仅有暗示的内容不算呈现。

请严格按以下格式回答：

<checks>
<analysis>["图像中与要点1有关的内容", "图像中与要点2有关的内容"]</analysis>
<score>[1, 0]</score>
</checks>

两者都是列表，每个要点一项，次序与要点一致。前者每项是一句用英文双引号括起的简短文字；后者每项为1（满足）或0（不满足）。"""

_ITEM = {
    "en": "Prompt:\n<prompt>\n{prompt}\n</prompt>\n\nPoints:\n{points}",
    "zh": "提示词：\n<prompt>\n{prompt}\n</prompt>\n\n要点：\n{points}",
}
_POINT = {"en": "{number}. {kind} ({meaning}): {said}", "zh": "{number}. {kind}（{meaning}）：{said}"}
_FIELDS = {"prompt", "testpoint", "explanation", "test_explanation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialLanguage:
    """What ``LANG_CONFIGS`` of the official script says for one language."""

    template: str
    meanings: Mapping[str, str]
    header: str
    descriptions: str

    def text(self, prompt: str, points: Sequence[str], descriptions: Sequence[str]) -> str:
        """The text of a request, put together as in ``build_system_prompt`` there."""
        meanings = "".join(f"\n{point}: {self.meanings[point]}" for point in points)
        said = "".join(f"\n{point}: {each}" for point, each in zip(points, descriptions, strict=True))
        return self.template.format(
            prompt=prompt,
            testpoint=list(points),
            explanation=f"{self.header}:「{meanings}\n」",
            test_explanation=f"{self.descriptions}:「{said}\n」",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How a judge is asked: in our words, or, where ``official`` holds the languages, in those of the script.

    The official script sets no temperature, leaves room for 4,096 tokens and asks 11 times at most.
    """

    official: Mapping[str, OfficialLanguage] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over all that the judge is told beside prompts and test points."""
        if self.official is None:
            meanings = [[each.meaning_en, each.meaning_zh] for each in DIMENSIONS]
            return digest([SYSTEM_EN, SYSTEM_ZH, _ITEM, _POINT, meanings])
        return digest(
            {
                name: [each.template, each.header, each.descriptions, dict(each.meanings)]
                for name, each in self.official.items()
            }
        )

    @property
    def attempts(self) -> int:
        return 3 if self.official is None else 11

    @property
    def temperature(self) -> float | None:
        return 0.0 if self.official is None else None

    @property
    def room(self) -> int:
        return 2048 if self.official is None else 4096

    def system(self, language: str) -> str:
        """The static part, which the official script has none of."""
        if self.official is not None:
            return ""
        return SYSTEM_ZH if language == "zh" else SYSTEM_EN

    def text(self, language: str, prompt: str, points: Sequence[str], descriptions: Sequence[str]) -> str:
        """What is asked about one image."""
        if self.official is not None:
            return self.official[language].text(prompt, points, descriptions)
        lines = [
            _POINT[language].format(
                number=number,
                kind=point,
                meaning=BY_NAME[point].meaning_zh if language == "zh" else BY_NAME[point].meaning_en,
                said=line(said),
            )
            for number, (point, said) in enumerate(zip(points, descriptions, strict=True), start=1)
        ]
        return _ITEM[language].format(prompt=fenced(prompt.strip(), "prompt"), points="\n".join(lines))


def read_checks(answer: str, count: int) -> list[Json]:
    """``{"score": 0 or 1 as written, "analysis": text}`` for each of ``count`` test points.

    Takes what stands between the tags as the official script does (the first pair of each, Python literals,
    both of the right length), and JSON too. Raises ``ValueError``, also for a score that is neither 0 nor 1,
    however it is written.
    """
    analysis, scores = _between(answer, "analysis"), _between(answer, "score")
    if len(analysis) != count or len(scores) != count:
        raise ValueError(
            f"there are {count} points, <analysis> has {len(analysis)} entries and <score> {len(scores)}"
        )
    for score in scores:
        if mark(score) is None:
            raise ValueError(f"a score of {score!r} is neither 0 nor 1")
    return [{"score": score, "analysis": str(said)} for score, said in zip(scores, analysis, strict=True)]


def mark(score: Json) -> float | None:
    """0 or 1 where ``score`` means that, as a number, a truth value or a text; else None."""
    if isinstance(score, str):
        score = {"0": 0, "1": 1}.get(score.strip())
    if isinstance(score, bool | int | float) and score in (0, 1):
        return float(score)
    return None


def _between(answer: str, tag: str) -> list[Json]:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", answer, re.DOTALL)
    if found is None:
        raise ValueError(f"there is no <{tag}> with </{tag}> behind it")
    text = found[1].strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a judge's words
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"what stands in <{tag}> is no list") from None
    if not isinstance(value, list):
        raise ValueError(f"what stands in <{tag}> is no list")
    return value


def official_words(folder: str, home: Home) -> Words:
    """The words of ``eval/src/eval_common.py`` in a copy of the repository.

    Raises :class:`~arrkit.errors.InputError` where they are not found.
    """
    path = official_file(folder, [SCRIPT], home)
    configs = constants(path).get("LANG_CONFIGS")
    try:
        languages = {name: _language(_mapping(configs)[name], name) for name in ("en", "zh")}
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} has no LANG_CONFIGS of the form that is known: {error}",
            hint=f"Take it from {home.url}, or leave out --prompt-dir to ask in arrkit's own words.",
        ) from None
    return Words(official=languages)


def _language(config: Literal, name: str) -> OfficialLanguage:
    said = _mapping(config)
    template = _text(said["system_prompt_template"])
    fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
    if fields != _FIELDS:
        raise ValueError(f"its template has the fields {', '.join(sorted(fields))}")
    meanings = {point: _text(each) for point, each in _mapping(said["explanation_dict"]).items()}
    lacking = {each.zh if name == "zh" else each.en for each in DIMENSIONS} - set(meanings)
    if lacking:
        raise ValueError(f"it does not define {', '.join(sorted(lacking))}")
    return OfficialLanguage(
        template=template,
        meanings=meanings,
        header=_text(said["checkpoint_header"]),
        descriptions=_text(said["checkpoint_desc_header"]),
    )


def _mapping(value: Literal) -> Mapping[str, Literal]:
    if not isinstance(value, Mapping):
        raise ValueError("something in it is no dictionary")
    return value


def _text(value: Literal) -> str:
    if not isinstance(value, str):
        raise ValueError("something in it is no text")
    return value
