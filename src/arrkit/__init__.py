"""arrkit: image preferences as explicit rubrics, judges measured under them, models trained against them.

Each command of the command line is a function here, with the same options:

    import arrkit

    options = arrkit.EvalOptions(dataset="shapes-edit:test", rubric=("edit-general",))
    report = arrkit.evaluate_judge(options)
    print(report.rows[-1].stats.accuracy)

Names are imported when they are first used, so that ``import arrkit`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arrkit.commands.bench_generate import Generated, generate_images
    from arrkit.commands.bench_options import (
        BenchGenerateOptions,
        BenchRunOptions,
        BenchScoreOptions,
        BenchTableOptions,
    )
    from arrkit.commands.bench_report import BenchReport
    from arrkit.commands.bench_run import run_benchmark
    from arrkit.commands.bench_score import score_benchmark
    from arrkit.commands.bench_table import table_of_runs
    from arrkit.commands.build import BuildReport, build_rubric
    from arrkit.commands.evaluate import evaluate_judge, measure_bias
    from arrkit.commands.options import (
        BiasOptions,
        BuildOptions,
        EvalOptions,
        MergeOptions,
        ScoreOptions,
        VerifyOptions,
    )
    from arrkit.commands.rpo_preprocess import preprocess_prompts
    from arrkit.commands.rpo_sample import Sampled, sample_policy
    from arrkit.commands.rpo_train import TrainReport, train_policy
    from arrkit.commands.rubrics import merge_rubrics
    from arrkit.commands.score import ScoreReport, score_judgments
    from arrkit.commands.verify import VerifyReport, verify_rubric
    from arrkit.errors import ArrkitError, InputError, RunError
    from arrkit.judge.report import JudgeReport
    from arrkit.rpo.options import PreprocessOptions, SampleOptions, TrainOptions
    from arrkit.rubric.files import read_rubric, write_rubric
    from arrkit.rubric.model import Rubric

__version__ = "0.1.0"

_HOMES = {
    "ArrkitError": "errors",
    "BenchGenerateOptions": "commands.bench_options",
    "BenchReport": "commands.bench_report",
    "BenchRunOptions": "commands.bench_options",
    "BenchScoreOptions": "commands.bench_options",
    "BenchTableOptions": "commands.bench_options",
    "BiasOptions": "commands.options",
    "BuildOptions": "commands.options",
    "BuildReport": "commands.build",
    "EvalOptions": "commands.options",
    "Generated": "commands.bench_generate",
    "InputError": "errors",
    "JudgeReport": "judge.report",
    "MergeOptions": "commands.options",
    "PreprocessOptions": "rpo.options",
    "Rubric": "rubric.model",
    "RunError": "errors",
    "SampleOptions": "rpo.options",
    "Sampled": "commands.rpo_sample",
    "ScoreOptions": "commands.options",
    "ScoreReport": "commands.score",
    "TrainOptions": "rpo.options",
    "TrainReport": "commands.rpo_train",
    "VerifyOptions": "commands.options",
    "VerifyReport": "commands.verify",
    "build_rubric": "commands.build",
    "evaluate_judge": "commands.evaluate",
    "generate_images": "commands.bench_generate",
    "measure_bias": "commands.evaluate",
    "merge_rubrics": "commands.rubrics",
    "preprocess_prompts": "commands.rpo_preprocess",
    "read_rubric": "rubric.files",
    "run_benchmark": "commands.bench_run",
    "sample_policy": "commands.rpo_sample",
    "score_benchmark": "commands.bench_score",
    "score_judgments": "commands.score",
    "table_of_runs": "commands.bench_table",
    "train_policy": "commands.rpo_train",
    "verify_rubric": "commands.verify",
    "write_rubric": "rubric.files",
}

__all__ = [
    "ArrkitError",
    "BenchGenerateOptions",
    "BenchReport",
    "BenchRunOptions",
    "BenchScoreOptions",
    "BenchTableOptions",
    "BiasOptions",
    "BuildOptions",
    "BuildReport",
    "EvalOptions",
    "Generated",
    "InputError",
    "JudgeReport",
    "MergeOptions",
    "PreprocessOptions",
    "Rubric",
    "RunError",
    "SampleOptions",
    "Sampled",
    "ScoreOptions",
    "ScoreReport",
    "TrainOptions",
    "TrainReport",
    "VerifyOptions",
    "VerifyReport",
    "__version__",
    "build_rubric",
    "evaluate_judge",
    "generate_images",
    "measure_bias",
    "merge_rubrics",
    "preprocess_prompts",
    "read_rubric",
    "run_benchmark",
    "sample_policy",
    "score_benchmark",
    "score_judgments",
    "table_of_runs",
    "train_policy",
    "verify_rubric",
    "write_rubric",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'arrkit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"arrkit.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
