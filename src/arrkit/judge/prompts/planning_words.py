"""What arrkit says to a judge that writes checklists and plans, in each of its languages.

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
class PlanningWording:
    """The sentences of ``checklist`` (from a prompt alone) and ``plan`` (from a pair)."""

    checklist_role: ByTask
    checklist_rules: ByTask
    checklist_aims: ByTask
    checklist_shape: str
    checklist_closing: ByTask

    plan_role: ByTask
    plan_rules: ByTask
    plan_shape: ByTask
    plan_closing: ByTask


ENGLISH_PLANNING = PlanningWording(
    checklist_role={
        Task.T2I: (
            "You prepare the inspection of generated images. You see a text prompt and no image. Take the "
            "prompt apart into a checklist that can be gone through with any image made from it."
        ),
        Task.EDIT: (
            "You prepare the inspection of edited images. You see an edit instruction and no image. Take "
            "the instruction apart into a checklist that can be gone through with any edit made from it, "
            "the source image beside it."
        ),
        Task.INTERLEAVED: (
            "You prepare the inspection of answers that are made of text and images. You see a prompt and "
            "none of its images. Take the prompt apart into a checklist that can be gone through with any "
            "response to it."
        ),
    },
    checklist_rules=_by_kind(
        (
            "A good item\n"
            "- is one short sentence that is simply true or false of one image;\n"
            "- is about this prompt: it says by name which thing, number, property, place, word or style is "
            "to be seen;\n"
            "- checks one of them only, so that an image can have one right and another wrong;\n"
            "- says nothing of other images and compares with none."
        ),
        (
            "A good item\n"
            "- is one short sentence that is simply true or false of one response;\n"
            "- is about this prompt: it says by name which fact, step, thing or property is to be found;\n"
            "- checks one of them only, so that a response can have one right and another wrong;\n"
            "- says nothing of other responses and compares with none."
        ),
    ),
    checklist_aims={
        Task.T2I: (
            "Cover first all that the prompt asks for, one item each. If there is room left, add what most "
            "easily goes wrong with these very subjects, such as limbs, faces, lettering, things in great "
            "number, or things that touch."
        ),
        Task.EDIT: (
            "Cover first what is to change: that it has been done, to the right target, in full and as "
            "described. Then what must stay as it was: other properties of the target, its surroundings, "
            "the background. If there is room left, add the traces that this very edit most easily leaves."
        ),
        Task.INTERLEAVED: (
            "Cover first all that the prompt asks for, one item each: what the text must say, what the "
            "images must show, in which order. If there is room left, add what most easily goes wrong with "
            "this very request, such as an image that contradicts its text."
        ),
    },
    checklist_shape=(
        'One JSON object. First "reasoning": the prompt, part by part, in 80 words at most. Then "criteria", '
        'one for each item, the weightiest first, each with "statement"; "guidance", how to look, in 20 '
        'words at most; "dimension", the part of the prompt that it checks, in one to three words.'
    ),
    checklist_closing={
        Task.T2I: (
            "Give at most {count} items for images made from this prompt. Answer with the JSON object."
        ),
        Task.EDIT: (
            "Give at most {count} items for edits made from this instruction. Answer with the JSON object."
        ),
        Task.INTERLEAVED: (
            "Give at most {count} items for responses to this prompt. Answer with the JSON object."
        ),
    },
    plan_role={
        Task.T2I: (
            "You plan the comparison of two generated images. You see a text prompt and two images made "
            "from it, Image A and Image B. Find where they differ in ways that matter to people who wrote "
            "this prompt. Which of them is better is not for you to say: a judge will look at the points "
            "that you name, and at nothing else."
        ),
        Task.EDIT: (
            "You plan the comparison of two edited images. You see an edit instruction, the source image "
            "and two edited versions of it, Image A and Image B. Find where these differ in ways that "
            "matter to people who gave this instruction. Which of them is better is not for you to say: a "
            "judge will look at the points that you name, and at nothing else."
        ),
        Task.INTERLEAVED: (
            "You plan the comparison of two answers that are made of text and images. You see a prompt, "
            "which may come with source images, and two responses to it, Response A and Response B. Find "
            "where they differ in ways that matter to people who wrote this prompt. Which of them is better "
            "is not for you to say: a judge will look at the points that you name, and at nothing else."
        ),
    },
    plan_rules=_by_kind(
        (
            "A good point\n"
            "- stands for a difference that you see between the two images; what is alike in both is no "
            "point;\n"
            "- matters: a difference that would change nobody's choice is left out;\n"
            "- is one sentence that says what is true of a good image, so that the judge can hold each "
            "image against it;\n"
            "- does not give away which image meets it: not Image A or B, not first or second, not the "
            "other image;\n"
            "- differs from every other point in what it checks."
        ),
        (
            "A good point\n"
            "- stands for a difference that you find between the two responses; what is alike in both is "
            "no point;\n"
            "- matters: a difference that would change nobody's choice is left out;\n"
            "- is one sentence that says what is true of a good response, so that the judge can hold each "
            "response against it;\n"
            "- does not give away which response meets it: not Response A or B, not first or second, not "
            "the other response;\n"
            "- differs from every other point in what it checks."
        ),
    ),
    plan_shape=_by_kind(
        (
            'One JSON object. First "reasoning": the differences that you see, in 100 words at most. Then '
            '"points", the weightiest first, each with "statement"; "guidance", where to look, without '
            'saying what is found there in which image, in 30 words at most. "points" is empty where nothing '
            "that matters differs."
        ),
        (
            'One JSON object. First "reasoning": the differences that you find, in 100 words at most. Then '
            '"points", the weightiest first, each with "statement"; "guidance", where to look, without '
            'saying what is found there in which response, in 30 words at most. "points" is empty where '
            "nothing that matters differs."
        ),
    ),
    plan_closing=_by_kind(
        ("Name at most {count} points on which Image A and Image B differ. Answer with the JSON object."),
        (
            "Name at most {count} points on which Response A and Response B differ. Answer with the JSON "
            "object."
        ),
    ),
)

CHINESE_PLANNING = PlanningWording(
    checklist_role={
        Task.T2I: (
            "你负责为生成图像的检查做准备。你会看到一条文字提示，但看不到任何图像。请把提示拆解成一份清单，"
            "供检查任何一张据此生成的图像时逐项核对。"
        ),
        Task.EDIT: (
            "你负责为图像编辑的检查做准备。你会看到一条编辑指令，但看不到任何图像。请把指令拆解成一份清单，"
            "供对照源图像检查任何一个据此完成的编辑结果时逐项核对。"
        ),
        Task.INTERLEAVED: (
            "你负责为图文回答的检查做准备。你会看到一条提示，但看不到它的任何图像。请把提示拆解成一份清单，"
            "供检查对它的任何一个回答时逐项核对。"
        ),
    },
    checklist_rules=_by_kind(
        (
            "一个好的条目\n"
            "- 是一句简短的话，对一张图像而言非真即假；\n"
            "- 针对这条提示：直接点明应当看到哪个事物、数量、属性、位置、文字或风格；\n"
            "- 只检查其中一项，使图像可以一项正确而另一项错误；\n"
            "- 不涉及其他图像，也不与任何图像比较。"
        ),
        (
            "一个好的条目\n"
            "- 是一句简短的话，对一个回答而言非真即假；\n"
            "- 针对这条提示：直接点明应当出现哪个事实、步骤、事物或属性；\n"
            "- 只检查其中一项，使回答可以一项正确而另一项错误；\n"
            "- 不涉及其他回答，也不与任何回答比较。"
        ),
    ),
    checklist_aims={
        Task.T2I: (
            "首先逐项覆盖提示所要求的全部内容。若还有余地，再补充这些对象最容易出错之处，例如肢体、面部、"
            "文字、数量众多的事物或相互接触的事物。"
        ),
        Task.EDIT: (
            "首先覆盖应当改变的内容：改动已经完成，对象正确，完整且符合描述。然后是必须保持原样的内容：对象"
            "的其他属性、周围环境、背景。若还有余地，再补充这种编辑最容易留下的痕迹。"
        ),
        Task.INTERLEAVED: (
            "首先逐项覆盖提示所要求的全部内容：文字必须说什么，图像必须呈现什么，按什么顺序。若还有余地，再"
            "补充这一要求最容易出错之处，例如图像与其文字相矛盾。"
        ),
    },
    checklist_shape=(
        '一个JSON对象。首先是"reasoning"：逐部分分析提示，不超过120字。然后是"criteria"，每个条目一项，最重要的在'
        '前，各含"statement"；"guidance"：如何查看，不超过30字；"dimension"：它检查提示的哪一部分，用一到三个'
        "词。"
    ),
    checklist_closing={
        Task.T2I: "请为由这条提示生成的图像给出最多{count}个条目。请用JSON对象作答。",
        Task.EDIT: "请为按这条指令所做的编辑给出最多{count}个条目。请用JSON对象作答。",
        Task.INTERLEAVED: "请为对这条提示的回答给出最多{count}个条目。请用JSON对象作答。",
    },
    plan_role={
        Task.T2I: (
            "你负责规划两张生成图像的比较。你会看到一条文字提示和据此生成的两张图像：图像A和图像B。请找出它们"
            "之间对写下这条提示的人来说重要的差异。哪一张更好不由你来判断：另一位评审只会查看你列出的要点，不"
            "看其他任何内容。"
        ),
        Task.EDIT: (
            "你负责规划两个图像编辑结果的比较。你会看到一条编辑指令、源图像，以及它的两个编辑结果：图像A和图像B"
            "。请找出这两者之间对给出这条指令的人来说重要的差异。哪一张更好不由你来判断：另一位评审只会查看你列"
            "出的要点，不看其他任何内容。"
        ),
        Task.INTERLEAVED: (
            "你负责规划两个图文回答的比较。你会看到一条提示（可能附有源图像）和对它的两个回答：回答A和回答B。请"
            "找出它们之间对写下这条提示的人来说重要的差异。哪一个更好不由你来判断：另一位评审只会查看你列出的要"
            "点，不看其他任何内容。"
        ),
    },
    plan_rules=_by_kind(
        (
            "一个好的要点\n"
            "- 对应你在两张图像之间看到的一处差异；两者相同之处不是要点；\n"
            "- 是重要的：不会改变任何人选择的差异应当略去；\n"
            "- 是一句话，说明好图像应有的情形，使评审能用它分别核对每张图像；\n"
            "- 不透露哪张图像符合它：不提图像A或B，不提第一张或第二张，不提另一张图像；\n"
            "- 与其他每个要点检查的内容都不同。"
        ),
        (
            "一个好的要点\n"
            "- 对应你在两个回答之间发现的一处差异；两者相同之处不是要点；\n"
            "- 是重要的：不会改变任何人选择的差异应当略去；\n"
            "- 是一句话，说明好回答应有的情形，使评审能用它分别核对每个回答；\n"
            "- 不透露哪个回答符合它：不提回答A或B，不提第一个或第二个，不提另一个回答；\n"
            "- 与其他每个要点检查的内容都不同。"
        ),
    ),
    plan_shape=_by_kind(
        (
            '一个JSON对象。首先是"reasoning"：你看到的差异，不超过150字。然后是"points"，最重要的在前，各含'
            '"statement"；"guidance"：应看何处，但不说明哪张图像在该处是什么情形，不超过50字。若没有重要的差异，'
            '则"points"为空。'
        ),
        (
            '一个JSON对象。首先是"reasoning"：你发现的差异，不超过150字。然后是"points"，最重要的在前，各含'
            '"statement"；"guidance"：应看何处，但不说明哪个回答在该处是什么情形，不超过50字。若没有重要的差异，'
            '则"points"为空。'
        ),
    ),
    plan_closing=_by_kind(
        "请列出图像A与图像B存在差异的最多{count}个要点。请用JSON对象作答。",
        "请列出回答A与回答B存在差异的最多{count}个要点。请用JSON对象作答。",
    ),
)
