"""What arrkit says to a judge whose statements are to be weighed on many pairs, in each of its languages.

A part of :class:`~arrkit.judge.prompts.wording.Wording`, whose rules hold here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from arrkit.data.pairs import Task

ByTask = Mapping[Task, str]


def _by_kind(image: str, response: str) -> ByTask:
    return {Task.T2I: image, Task.EDIT: image, Task.INTERLEAVED: response}


@dataclass(frozen=True, slots=True)
class LearningWording:
    """The sentences of ``explain``, ``diagnose`` and ``extract``."""

    reuse: ByTask
    explain_shape: ByTask
    explain_closing: ByTask

    diagnose_role: ByTask
    diagnose_rules: str
    diagnose_shape: ByTask
    diagnose_closing: ByTask

    rubric_so_far: str
    report: ByTask
    diagnosis: str
    extract_closing: ByTask


ENGLISH_LEARNING = LearningWording(
    reuse=_by_kind(
        (
            "Every statement will be put to images of many other prompts, one image at a time. So it\n"
            "- names nothing that belongs to this prompt or these pictures alone, and speaks of what the "
            "prompt asks for in general terms, such as every object that the prompt names;\n"
            "- can be answered yes or no by anyone who looks, whatever their taste."
        ),
        (
            "Every statement will be put to responses to many other prompts, one response at a time. So it\n"
            "- names nothing that belongs to this prompt or these responses alone, and speaks of what the "
            "prompt asks for in general terms;\n"
            "- can be answered yes or no by anyone who reads and looks, whatever their taste."
        ),
    ),
    explain_shape=_by_kind(
        (
            'One JSON object. First "inspection": what the prompt asks for and what is to be seen in each of '
            'the two images, in 100 words at most. Then "explanation": the visible differences that make '
            'people prefer the one they do, in 80 words at most. Then "criteria", the most telling first, '
            'each with "statement"; "guidance", how to check it in an image, in 30 words at most; '
            '"dimension", the aspect it belongs to, in one to three words.'
        ),
        (
            'One JSON object. First "inspection": what the prompt asks for and what each of the two '
            "responses "
            'gives, in 120 words at most. Then "explanation": the differences that make people prefer '
            "the one "
            'they do, in 80 words at most. Then "criteria", the most telling first, each with "statement"; '
            '"guidance", how to check it in a response, in 30 words at most; "dimension", the aspect it '
            "belongs to, in one to three words."
        ),
    ),
    explain_closing=_by_kind(
        (
            "People preferred Image {letter}. Inspect prompt and images, explain what makes the difference, "
            "and extract at most {count} statements that Image {letter} meets better and that can be used "
            "again. Answer with the JSON object."
        ),
        (
            "People preferred Response {letter}. Inspect prompt and responses, explain what makes the "
            "difference, and extract at most {count} statements that Response {letter} meets better and that "
            "can be used again. Answer with the JSON object."
        ),
    ),
    diagnose_role={
        Task.T2I: (
            "You find out why a rubric for generated images fails. You see a text prompt, two images made "
            "from it, which of them people preferred, and a rubric that gives the other one the higher or "
            "the same score."
        ),
        Task.EDIT: (
            "You find out why a rubric for edited images fails. You see an edit instruction, the source "
            "image, two edited versions of it, which of them people preferred, and a rubric that gives the "
            "other one the higher or the same score."
        ),
        Task.INTERLEAVED: (
            "You find out why a rubric for answers made of text and images fails. You see a prompt, which "
            "may come with source images, two responses to it, which of them people preferred, and a rubric "
            "that gives the other one the higher or the same score."
        ),
    },
    diagnose_rules=(
        "Look for the one thing, to be seen or read, that explains the preference best and that no criterion "
        "of the rubric asks for, or none asks for finely enough. Do not repeat the rubric, and do "
        "not explain "
        "the preference by taste where something that can be pointed at explains it."
    ),
    diagnose_shape=_by_kind(
        (
            'One JSON object. First "reasoning": what in the images the rubric overlooks or gets wrong, in '
            '100 words at most. Then "missing": what is missing in the rubric, in one sentence. Then '
            '"dimension": the aspect it belongs to, in one to three words.'
        ),
        (
            'One JSON object. First "reasoning": what in the responses the rubric overlooks or gets '
            "wrong, in "
            '100 words at most. Then "missing": what is missing in the rubric, in one sentence. Then '
            '"dimension": the aspect it belongs to, in one to three words.'
        ),
    ),
    diagnose_closing=_by_kind(
        "People preferred Image {letter}. What does the rubric miss? Answer with the JSON object.",
        "People preferred Response {letter}. What does the rubric miss? Answer with the JSON object.",
    ),
    rubric_so_far="The rubric so far:",
    report=_by_kind(
        "This is how it went, under each criterion the preferred image's score before the other's:",
        "This is how it went, under each criterion the preferred response's score before the other's:",
    ),
    diagnosis="What it misses ({dimension}): {missing}",
    extract_closing=_by_kind(
        (
            "People preferred Image {letter}. Put what the rubric misses into at most {count} new statements "
            "that Image {letter} meets better and that can be used again; none may say what the rubric says "
            "already. Answer with the JSON object."
        ),
        (
            "People preferred Response {letter}. Put what the rubric misses into at most {count} new "
            "statements that Response {letter} meets better and that can be used again; none may say "
            "what the "
            "rubric says already. Answer with the JSON object."
        ),
    ),
)

CHINESE_LEARNING = LearningWording(
    reuse=_by_kind(
        (
            "每条陈述以后都会逐张用于许多其他提示的图像，因此：\n"
            "- 不提只属于这条提示或这两张图像的内容；涉及提示要求时用一般说法，例如“提示中提到的每个物体”；\n"
            "- 任何人看图都能回答是或否，与个人喜好无关。"
        ),
        (
            "每条陈述以后都会逐个用于许多其他提示的回答，因此：\n"
            "- 不提只属于这条提示或这两个回答的内容；涉及提示要求时用一般说法；\n"
            "- 任何人阅读、看图后都能回答是或否，与个人喜好无关。"
        ),
    ),
    explain_shape=_by_kind(
        (
            "一个JSON对象。首先是“inspection”：提示要求什么，两张图像中各能看到什么，至多150字。然后是"
            "“explanation”：哪些可见的差异使人们作出这样的选择，至多120字。然后是“criteria”，最能说明问题的"
            "在前，每条含“statement”；“guidance”，如何在一张图像中检查它，至多45字；“dimension”，它所属的"
            "方面，用一个短语。"
        ),
        (
            "一个JSON对象。首先是“inspection”：提示要求什么，两个回答各给出了什么，至多180字。然后是"
            "“explanation”：哪些差异使人们作出这样的选择，至多120字。然后是“criteria”，最能说明问题的在前，"
            "每条含“statement”；“guidance”，如何在一个回答中检查它，至多45字；“dimension”，它所属的方面，用"
            "一个短语。"
        ),
    ),
    explain_closing=_by_kind(
        (
            "人们更喜欢图像{letter}。请查看提示和两张图像，解释差别何在，并提炼出至多{count}条图像{letter}满足"
            "得更好、可以重复使用的陈述。用该JSON对象作答。"
        ),
        (
            "人们更喜欢回答{letter}。请查看提示和两个回答，解释差别何在，并提炼出至多{count}条回答{letter}满足"
            "得更好、可以重复使用的陈述。用该JSON对象作答。"
        ),
    ),
    diagnose_role={
        Task.T2I: (
            "你负责查明一份评判生成图像的量规为何出错。你会看到一条文字提示、据此生成的两张图像、人们更喜欢"
            "哪一张，以及一份给另一张打了更高或相同分数的量规。"
        ),
        Task.EDIT: (
            "你负责查明一份评判图像编辑的量规为何出错。你会看到一条编辑指令、源图像、它的两个编辑结果、人们"
            "更喜欢哪一个，以及一份给另一个打了更高或相同分数的量规。"
        ),
        Task.INTERLEAVED: (
            "你负责查明一份评判图文回答的量规为何出错。你会看到一条提示（可能附有源图像）、对它的两个回答、"
            "人们更喜欢哪一个，以及一份给另一个打了更高或相同分数的量规。"
        ),
    },
    diagnose_rules=(
        "请找出一个看得见或读得到、最能解释这一偏好的地方：量规中没有任何准则问到它，或问得不够细。不要重复"
        "量规；凡是能指得出来的原因，就不要归于个人喜好。"
    ),
    diagnose_shape=_by_kind(
        (
            "一个JSON对象。首先是“reasoning”：量规忽略或弄错了图像中的什么，至多150字。然后是“missing”：用"
            "一句话说明量规缺少什么。然后是“dimension”：它所属的方面，用一个短语。"
        ),
        (
            "一个JSON对象。首先是“reasoning”：量规忽略或弄错了回答中的什么，至多150字。然后是“missing”：用"
            "一句话说明量规缺少什么。然后是“dimension”：它所属的方面，用一个短语。"
        ),
    ),
    diagnose_closing=_by_kind(
        "人们更喜欢图像{letter}。这份量规缺少什么？用该JSON对象作答。",
        "人们更喜欢回答{letter}。这份量规缺少什么？用该JSON对象作答。",
    ),
    rubric_so_far="目前的量规：",
    report=_by_kind(
        "使用情况如下，每条准则下先列受偏好图像的得分，再列另一张的得分：",
        "使用情况如下，每条准则下先列受偏好回答的得分，再列另一个的得分：",
    ),
    diagnosis="它所缺少的（{dimension}）：{missing}",
    extract_closing=_by_kind(
        (
            "人们更喜欢图像{letter}。请把量规所缺少的写成至多{count}条新的陈述，图像{letter}应满足得更好，并且"
            "可以重复使用；不得重复量规已有的内容。用该JSON对象作答。"
        ),
        (
            "人们更喜欢回答{letter}。请把量规所缺少的写成至多{count}条新的陈述，回答{letter}应满足得更好，并且"
            "可以重复使用；不得重复量规已有的内容。用该JSON对象作答。"
        ),
    ),
)
