"""Entry points of the public preference sets. Imported to be listed, so kept light.

What stands here was read in each set's own card, code or files; where that was not possible, the set's module
says so. ``{split}`` in a pattern stands for the split.
"""

from __future__ import annotations

from arrkit.backends.plugin import DatasetPlugin, Parameter
from arrkit.data.pairs import Task

EXTRA = "arrkit[data]"

_FILES = {
    "data": Parameter("", "folder with the set's files as on the hub; the hub's cache by default"),
    "revision": Parameter("", "branch, tag or commit on the hub; its main branch by default"),
    "stream": Parameter(False, "read what is not in the cache from the hub, only the parts looked at"),
}
_IMAGES = {"images": Parameter("", "folder that image paths start from; the set's own files by default")}
_TABLE = ("pyarrow",)

hpdv3 = DatasetPlugin(
    summary="HPDv3: 1.17 million pairs of images for a prompt, real photos among them",
    factory="arrkit.backends.datasets.hpdv3:make",
    parameters=_FILES | _IMAGES,
    extra=EXTRA,
    example="hpdv3:test?data=HPDv3",
    tasks=(Task.T2I,),
    splits=("test", "train", "all"),
    license="MIT",
    hub="MizzenAI/HPDv3",
    size="141 GB",
    patterns=("{split}.json", "images.tar.gz*"),
    images="JPEG files in one split tar.gz",
    convention="path1 is always the preferred image",
    official="strict-pair",
    notes="The images from Midjourney keep Midjourney's terms.",
)

hpdv3_plusplus = DatasetPlugin(
    summary="HPDv3++: pairs for aesthetics (aes) and text faithfulness (tf), in the manner of HPDv3",
    factory="arrkit.backends.datasets.hpdv3:make_plusplus",
    parameters=_FILES | _IMAGES,
    extra=EXTRA,
    example="hpdv3-plusplus:test_aes?data=HPDv3-PlusPlus",
    tasks=(Task.T2I,),
    splits=("test_aes", "test_tf", "train_aes", "train_tf", "stage1_ref"),
    license="Apache-2.0",
    hub="Junjun2333/HPDv3-PlusPlus",
    patterns=("{split}.json", "images.tar.part*"),
    images="files in one split tar; those of stage1_ref are HPDv3's, and not in it",
    convention="path1 is always the preferred image",
    official="strict-pair",
)

hpdv2 = DatasetPlugin(
    summary="HPDv2: 645,000 pairs for training, 400 ranked groups of a prompt's images for testing",
    factory="arrkit.backends.datasets.hpdv2:make",
    parameters=_FILES | _IMAGES,
    extra=EXTRA,
    example="hpdv2:test?data=HPDv2",
    tasks=(Task.T2I,),
    splits=("test", "train"),
    license="Apache-2.0",
    hub="ymhao/HPDv2",
    size="32 GB",
    mirrors=("zhwang/HPDv2",),
    patterns=("{split}.json", "{split}.tar.gz"),
    images="JPEG files in a tar.gz for each split",
    convention="test: rank of each image, smaller is better; train: 1 for the preferred one of two",
    official="per-prompt-inversion",
)

imagerewarddb = DatasetPlugin(
    summary="ImageRewardDB: 4 to 9 images of a prompt, ranked by experts",
    factory="arrkit.backends.datasets.imagerewarddb:make",
    parameters=_FILES | _IMAGES,
    extra=EXTRA,
    example="imagerewarddb:test?data=ImageRewardDB",
    tasks=(Task.T2I,),
    splits=("test", "validation", "train"),
    license="Apache-2.0",
    hub="zai-org/ImageRewardDB",
    size="23.2 GB",
    mirrors=("THUDM/ImageRewardDB",),
    patterns=("images/{split}/*",),
    images="WebP files in zips, each with its JSON",
    convention="rank of each image, 1 is the best; equal ranks are ties",
    official="strict-pair",
    notes="The images are DiffusionDB's, under its terms.",
)

pickapic = DatasetPlugin(
    summary="Pick-a-Pic: what the users of a web app preferred of two images for their prompt",
    factory="arrkit.backends.datasets.pickapic:make",
    parameters={
        **_FILES,
        "version": Parameter("v2", "the first edition, or the second and larger one", choices=("v2", "v1")),
        "repo": Parameter("", "another repository on the hub with the same columns"),
    },
    modules=_TABLE,
    extra=EXTRA,
    example="pickapic:test_unique?data=pickapic_v2",
    tasks=(Task.T2I,),
    splits=("test_unique", "validation_unique", "test", "validation", "train"),
    license="no licence stated",
    hub="yuvalkirstain/pickapic_v2",
    size="a million pairs",
    removed=True,
    mirrors=("liuhuohuo2/pick-a-pic-v2",),
    patterns=("*{split}-*.parquet",),
    images="JPEG bytes in parquet columns",
    convention="label_0 is 1 where image 0 is preferred, 0 where image 1 is, 0.5 for a tie",
    official="tie-credit",
    notes="What users wrote and made is not filtered for safety.",
)

mmrb2 = DatasetPlugin(
    summary="Multimodal RewardBench 2: 1,000 pairs for each of four tasks, answers of several models",
    factory="arrkit.backends.datasets.mmrb2:make",
    parameters=_FILES,
    modules=_TABLE,
    extra=EXTRA,
    example="mmrb2:edit?data=mmrb2",
    tasks=(Task.T2I, Task.EDIT, Task.INTERLEAVED),
    splits=("t2i", "edit", "interleaved", "reasoning"),
    license="CC BY-NC 4.0",
    hub="rl-research/multimodal-rewardbench-2",
    size="4,000 pairs",
    patterns=("*{split}*",),
    images="in parquet columns; in its local form, files that a JSON names",
    convention="chosen is A or B",
    official="mmrb2",
    notes="For benchmarking only, not for training; prompts and images of others keep their own terms.",
    benchmark_only=True,
)

genai_bench = DatasetPlugin(
    summary="GenAI-Bench (TIGER-Lab): votes of an arena on generated and edited images",
    factory="arrkit.backends.datasets.genai_bench:make",
    parameters={
        **_FILES,
        "edition": Parameter(
            "test_v1", "the official edition, or the later one", choices=("test_v1", "test")
        ),
    },
    modules=_TABLE,
    extra=EXTRA,
    example="genai-bench:image_edition?data=GenAI-Bench",
    tasks=(Task.T2I, Task.EDIT),
    splits=("image_generation", "image_edition"),
    license="CC BY 4.0",
    hub="TIGER-Lab/GenAI-Bench",
    size="1,735 and 919 pairs",
    patterns=("{split}/*",),
    images="in parquet columns",
    convention="vote_type is leftvote, rightvote, tievote or bothbad_vote",
    refused={"video_generation": "video_generation holds pairs of videos, which arrkit does not judge"},
    official="four-class",
)

rapidata = DatasetPlugin(
    summary="Rapidata's image sets: votes of many people on two images of a prompt",
    factory="arrkit.backends.datasets.rapidata:make",
    parameters={**_FILES, "repo": Parameter("", "another of Rapidata's image sets on the hub")},
    modules=_TABLE,
    extra=EXTRA,
    example="rapidata?repo=Rapidata/700k_Human_Preference_Dataset_FLUX_SD3_MJ_DALLE3",
    tasks=(Task.T2I,),
    splits=("train",),
    license="the licence of its card",
    hub="Rapidata/700k_Human_Preference_Dataset_FLUX_SD3_MJ_DALLE3",
    images="in parquet columns",
    convention="the image with more weighted votes is preferred; equal is a tie",
    official="rapidata",
)

editreward_bench = DatasetPlugin(
    summary="EditReward-Bench (TIGER-Lab): groups of two, three and four edits of one image, ranked",
    factory="arrkit.backends.datasets.editreward_bench:make",
    parameters=_FILES | _IMAGES,
    modules=_TABLE,
    extra=EXTRA,
    example="editreward-bench:3pair?data=EditReward-Bench",
    tasks=(Task.EDIT,),
    splits=("all", "2pair", "3pair", "4pair"),
    license="Apache-2.0",
    hub="TIGER-Lab/EditReward-Bench",
    size="2.9 GB",
    gated=True,
    images="in parquet columns",
    convention="ranking orders the two letters of comparison_type, such as C>B; A=B is a tie",
    official="editreward-bench",
)

editscore_bench = DatasetPlugin(
    summary="EditReward-Bench (EditScore): two edits for 13 kinds of task, judged in three respects",
    factory="arrkit.backends.datasets.editscore_bench:make",
    parameters=_FILES,
    modules=_TABLE,
    extra=EXTRA,
    example="editscore-bench:overall?data=EditReward-Bench",
    tasks=(Task.EDIT,),
    splits=("overall", "prompt_following", "consistency", "all"),
    license="Apache-2.0",
    hub="EditScore/EditReward-Bench",
    images="in parquet columns",
    convention="the first of output_images is the preferred one",
    official="editscore-bench",
)

editreward_data = DatasetPlugin(
    summary="EditReward-Data: over 200,000 pairs of edits with their ratings, for training",
    factory="arrkit.backends.datasets.editreward_data:make",
    parameters=_FILES | _IMAGES,
    extra=EXTRA,
    example="editreward-data?data=EditReward-Data",
    tasks=(Task.EDIT,),
    splits=("train",),
    license="the licence of its card",
    hub="TIGER-Lab/EditReward-Data",
    size="86.7 GB",
    images="in parquet columns; in the trainer's form, files that a JSON names",
    convention="path1 is the preferred edit, or a vote; ties where tie_case or the vote says so",
    official="editreward-data",
)
