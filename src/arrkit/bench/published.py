"""The tables of Auto-Rubric as Reward (arXiv 2605.08354, 2026-05-12), as far as they are known here.

Numbers are in the paper's units: per cent where a column has no unit. What is not known stands nowhere: of
the tables' spreads only those of Table 1, and of the paper's other systems only those rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CITATION = "Auto-Rubric as Reward, arXiv 2605.08354"


class Grid(StrEnum):
    """A table of the paper."""

    TABLE1 = "arr-table1"
    BIAS = "arr-bias"
    TRANSFER = "arr-transfer"
    CARDINALITY = "arr-cardinality"
    GENERATION = "arr-generation"


@dataclass(frozen=True, slots=True)
class Number:
    """A published number; ``spread`` is what stands after its ± sign, None where nothing does."""

    value: float
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One table: ``columns`` from left to right, ``rows`` from top to bottom, None for a dash.

    ``notes`` say how far other numbers can be compared with these.
    """

    title: str
    first: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Number | None, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def number(self, row: str, column: str) -> Number | None:
        """What the paper has there; None where it has nothing, or no such place."""
        if row not in self.rows or column not in self.columns:
            return None
        return self.rows[row][self.columns.index(column)]

    def digits(self, column: str) -> int:
        """How many decimals the paper gives in a column."""
        values = [number.value for row in self.rows if (number := self.number(row, column)) is not None]
        return max((len(f"{value!r}".partition(".")[2]) for value in values), default=1)


def _row(*values: float | tuple[float, float] | None) -> tuple[Number | None, ...]:
    return tuple(
        None if each is None else Number(*each) if isinstance(each, tuple) else Number(each)
        for each in values
    )


QWEN, GPT, GEMINI = "Qwen3-VL-8B", "GPT-5", "Gemini 3.1 Pro"
ARR, GUIDED = "+ ARR", "+ ARR w/ guide"
NO_RUBRIC = "no rubric"

TABLE1 = PaperTable(
    "Agreement with people, %",
    "Judge",
    ("HPDv3", "MM-RewardBench2 T2I", "MM-RewardBench2 Edit", "EditReward-Bench"),
    {
        "PickScore": _row(65.6, 58.6, None, None),
        "ImageReward": _row(58.6, 54.0, None, None),
        "UnifiedReward": _row(66.0, 59.8, None, None),
        "UnifiedReward-Thinking": _row(68.1, 66.0, None, None),
        "HPSv3": _row(76.9, 60.2, None, None),
        "EditReward": _row(None, None, 67.2, 56.45),
        QWEN: _row(67.2, 57.6, 59.2, 54.01),
        f"{QWEN} {ARR}": _row((70.2, 0.2), (62.7, 0.2), (65.5, 0.3), (57.22, 0.1)),
        GPT: _row(72.4, 70.5, 73.8, 57.53),
        f"{GPT} {ARR}": _row((76.1, 0.2), (74.7, 0.4), (77.5, 0.3), (61.01, 0.1)),
        GEMINI: _row(76.6, 75.1, 77.4, 61.23),
        f"{GEMINI} {ARR}": _row((78.3, 0.1), (78.9, 0.2), (79.2, 0.2), (63.27, 0.2)),
    },
    (
        "Accuracy is the mean of both orders, as the paper's position-bias table shows of its HPDv3 column.",
        "+ ARR is read as criteria that the judge writes for each prompt before it sees the images.",
        "Rows of trained reward models are the paper's; arrkit does not run these models.",
        "Two sets are called EditReward-Bench. The paper cites one and counts 13 subtasks, as the other has.",
    ),
)

BIAS = PaperTable(
    "Position bias, %",
    "Judge",
    ("Forward", "Reverse", "Avg", "Gap"),
    {
        QWEN: _row(84.5, 49.9, 67.2, 34.6),
        f"{QWEN} {ARR}": _row(86.0, 54.4, 70.2, 31.6),
        f"{QWEN} {GUIDED}": _row(90.1, 79.8, 85.0, 10.3),
        GPT: _row(88.7, 56.1, 72.4, 32.6),
        f"{GPT} {ARR}": _row(90.2, 62.0, 76.1, 28.2),
        f"{GPT} {GUIDED}": _row(93.4, 84.1, 88.8, 9.3),
        GEMINI: _row(91.7, 61.5, 76.6, 30.2),
        f"{GEMINI} {ARR}": _row(92.2, 64.4, 78.3, 27.8),
        f"{GEMINI} {GUIDED}": _row(95.2, 86.3, 90.8, 8.9),
    },
    (
        "Measured on HPDv3. Forward shows the preferred image first, gap is forward minus reverse.",
        "w/ guide is read as a rubric learned from labelled pairs; how many they were is not known here.",
    ),
)

TRANSFER = PaperTable(
    "Agreement with people under rubrics of other models, %",
    "Rubrics of",
    (GEMINI,),
    {
        NO_RUBRIC: _row(75.9),
        QWEN: _row(77.5),
        GPT: _row(78.3),
        GEMINI: _row(79.2),
    },
    (
        "Measured on HPDv3. Of this judge Table 1 has 76.6 without a rubric and 78.3 with its own criteria.",
        "How the rubrics were made is not known here: each generator learns one from a few labelled pairs.",
    ),
)

CARDINALITY = PaperTable(
    "Agreement with people by the number of criteria, %",
    "Criteria",
    (QWEN,),
    {"1": _row(69.8), "5": _row(70.2), "10": _row(72.1), "20": _row(74.4)},
    ("Measured on HPDv3, with criteria that the judge writes for each prompt.",),
)

_PAINTING = ("GenEval", "DPG-Bench", "TIIF", "UniGenBench++ Short", "UniGenBench++ Long")

PAINTING = PaperTable(
    "Text to image",
    "Model",
    _PAINTING,
    {
        "Emu3": _row(0.54, 80.60, None, 45.42, 50.59),
        "JanusFlow": _row(0.63, 79.68, None, 47.10, 54.80),
        "FLUX.1-Dev": _row(0.66, 83.84, 71.09, 60.97, 69.42),
        "DALLE-3": _row(0.67, 83.50, 74.96, 68.85, 70.82),
        "Show-o2": _row(0.76, 86.14, None, 61.90, 70.33),
        "OmniGen2": _row(0.80, 83.57, None, 63.09, 71.39),
        "BAGEL": _row(0.82, 85.07, 71.50, 59.91, 71.26),
        "RPO-Qwen3vl-8B-ARR": _row(0.74, 85.03, 74.92, 64.17, 71.82),
        "RPO-GPT-5-ARR": _row(0.78, 85.41, 76.18, 65.36, 72.41),
        "RPO-Gemini 3.1 Pro-ARR": _row(0.80, 85.76, 76.85, 65.89, 72.93),
        "BAGEL + RPO-Qwen3vl-8B-ARR": _row(0.88, 85.82, 74.05, 63.05, 72.35),
        "BAGEL + RPO-GPT-5-ARR": _row(0.90, 86.28, 75.62, 64.81, 73.15),
        "BAGEL + RPO-Gemini 3.1 Pro-ARR": _row(0.92, 86.74, 76.85, 65.92, 73.82),
    },
    (
        "Another detector or model than the official one makes another metric: compare differences alone.",
        "TIIF is the short prompts of testmini. UniGenBench++ is the mean over ten dimensions, by arrkit.",
        "Numbers of TIIF and UniGenBench++ depend on the judge and its prompt: see the name of the metric.",
    ),
)

EDITING = PaperTable(
    "Image editing",
    "Model",
    ("GEdit-Bench", "ImgEdit"),
    {
        "Instruct-Pix2Pix": _row(3.68, 1.88),
        "AnyEdit": _row(3.21, 2.45),
        "Step1X-Edit": _row(6.97, 3.06),
        "Qwen-Image-Edit-2509": _row(7.54, 4.35),
        "UniWorldv2": _row(7.76, 4.48),
        "RPO-Qwen3vl-8B-ARR": _row(7.66, 4.38),
        "RPO-GPT-5-ARR": _row(7.72, 4.40),
        "RPO-Gemini 3.1 Pro-ARR": _row(7.85, 4.43),
    },
    (
        "The paper's GEdit-Bench is judged by GPT-5; which languages and which mean it takes is not known.",
        "ImgEdit has no official overall: here it is the mean over its nine types.",
    ),
)

PUBLISHED: Mapping[Grid, tuple[PaperTable, ...]] = {
    Grid.TABLE1: (TABLE1,),
    Grid.BIAS: (BIAS,),
    Grid.TRANSFER: (TRANSFER,),
    Grid.CARDINALITY: (CARDINALITY,),
    Grid.GENERATION: (PAINTING, EDITING),
}
"""The tables of each grid."""
