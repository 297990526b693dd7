"""GenEval's eyes: a tiny Mask2Former and CLIP drive the whole path, crafted outputs what reads them."""

from __future__ import annotations

import asyncio
import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import numpy as np
from PIL import Image
from safetensors.torch import load_file
from tiny_detector import tiny_clip, tiny_mask2former

from arrkit.backends.registry import make_benchmark
from arrkit.bench.geneval import detector as module
from arrkit.bench.geneval.detector import Detector, Instance, found_in
from arrkit.bench.geneval.items import COLOURS, OBJECTS, demand_of
from arrkit.bench.geneval.rules import Box, judge
from arrkit.bench.model import Mode, Status
from arrkit.commands.bench_options import BenchScoreOptions
from arrkit.commands.bench_score import score_benchmark
from arrkit.data.images import picture_from_path
from arrkit.errors import InputError

SINGLE = {"tag": "single_object", "prompt": "a photo of a dog", "include": [{"class": "dog", "count": 1}]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return str(tiny_mask2former(folder / "tiny-m2f")), str(tiny_clip(folder / "tiny-clip"))


@pytest.fixture(scope="module")
def eyes(models) -> Detector:
    return Detector(*models, "cpu")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(module, "SHORT", 64)
    monkeypatch.setattr(module, "LONG", 128)


def noise(width=48, height=40, seed=0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def outputs(*queries, classes=80, size=16):
    """Mask2Former's logits; a query is (class, probability, mask from (x0, y0) to (x1, y1), its logit)."""
    words = torch.full((len(queries), classes + 1), -20.0)
    masks = torch.full((len(queries), size, size), -30.0)
    for place, (label, chance, (x0, y0, x1, y1), logit) in enumerate(queries):
        words[place, label] = np.log(chance)
        words[place, -1] = np.log(1 - chance)
        masks[place, y0:y1, x0:x1] = logit
    return words, masks


# --- the outputs of the detector


def test_a_box_is_the_extent_of_its_mask_and_its_confidence_that_of_class_and_mask():
    words, masks = outputs((16, 0.8, (4, 2, 8, 6), 30.0))
    (found,) = found_in(words, masks, (16, 16), (16, 16), (16, 16))
    assert OBJECTS[found.label] == "dog"
    assert found.box == pytest.approx((4, 2, 8, 6, 0.8), abs=1e-4)
    assert found.mask.shape == (16, 16)
    assert found.mask.sum() == 16
    words, masks = outputs((16, 0.8, (4, 2, 8, 6), 1.0))
    (unsure,) = found_in(words, masks, (16, 16), (16, 16), (16, 16))
    assert unsure.box.score == pytest.approx(0.8 / (1 + np.exp(-1.0)), abs=1e-4)


def test_masks_are_brought_to_the_image_without_its_padding():
    # The model saw 64 x 64 pixels, 64 x 32 of them the image, which is 96 pixels wide and 192 high.
    words, masks = outputs((0, 0.9, (0, 0, 8, 16), 30.0), (1, 0.9, (8, 0, 16, 16), 30.0))
    found = found_in(words, masks, (64, 64), (64, 32), (192, 96))
    assert [OBJECTS[each.label] for each in found] == ["person"]
    x0, y0, x1, y1, _ = found[0].box
    assert (x0, y0, y1) == (0, 0, 192)
    assert x1 == pytest.approx(96, abs=3)


def test_one_query_may_be_two_objects_and_what_is_not_sure_enough_is_none():
    words, masks = outputs(
        (3, 0.45, (0, 0, 4, 4), 30.0), (5, 0.29, (8, 8, 12, 12), 30.0), (6, 0.9, (0, 0, 0, 0), 0)
    )
    words[0, 4], words[0, -1] = np.log(0.45), np.log(0.1)
    found = found_in(words, masks, (16, 16), (16, 16), (16, 16))
    assert sorted(each.label for each in found) == [3, 4]


def test_the_image_is_scaled_by_its_short_side_unless_it_is_too_long():
    cpu = torch.device("cpu")
    pixels, size = module._prepared(noise(100, 50), cpu)
    assert (size, tuple(pixels.shape)) == ((64, 128), (1, 3, 64, 128))
    pixels, size = module._prepared(noise(30, 120), cpu)
    assert (size, tuple(pixels.shape)) == ((128, 32), (1, 3, 128, 32))
    pixels, size = module._prepared(Image.new("RGB", (64, 70), (124, 116, 104)), cpu)
    assert (size, tuple(pixels.shape)) == ((70, 64), (1, 3, 96, 64))
    assert pixels[0, :, :70].abs().max() < 0.01  # ImageNet's mean is 0
    assert pixels[0, :, 70:].abs().max() == 0


# --- colours


def test_a_colour_is_asked_of_the_object_alone_on_grey(eyes):
    image = Image.new("RGB", (40, 40), "red")
    image.paste("blue", (10, 10, 20, 30))
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:20] = True
    mask[10, 10] = False
    crop = module._crop(image, Instance(16, Box(10, 10, 20, 30, 0.9), mask), 10)
    assert tuple(crop.shape) == (3, 10, 10)
    mean, deviation = np.array(module.CLIP_MEAN), np.array(module.CLIP_DEVIATION)
    middle = crop[:, 5, 5].numpy() * deviation + mean
    assert middle == pytest.approx([0, 0, 1], abs=1e-3)
    whole = module._crop(image, Instance(16, Box(10, 10, 20, 20, 0.9), mask), 10)
    assert whole[:, 0, 0].numpy() * deviation + mean == pytest.approx([0.6] * 3, abs=0.03)


def test_colours_are_the_nearest_of_ten_by_the_mean_of_three_templates(eyes):
    image = noise()
    mask = np.ones((40, 48), bool)
    seen = Instance(16, Box(0, 0, 48, 40, 0.9), mask)
    assert eyes.colours(image, [], "dog") == []
    (colour,) = eyes.colours(image, [seen], "dog")
    assert colour in COLOURS
    with torch.inference_mode():
        features = eyes._clip.get_image_features(pixel_values=module._crop(image, seen, 16)[None])
        image_features = torch.nn.functional.normalize(module._features(features), dim=-1)
        likeness = {}
        for name in COLOURS:
            texts = [
                f"a photo of a {name} dog",
                f"a photo of a {name}-colored dog",
                f"a photo of a {name} object",
            ]
            made = [
                module._features(eyes._clip.get_text_features(**eyes._tokens([text], return_tensors="pt")))
                for text in texts
            ]
            mean = sum(each / each.norm() for each in made) / 3
            likeness[name] = float((mean / mean.norm() * image_features).sum())
    assert colour == max(likeness, key=likeness.get)


# --- the whole path


def test_tiny_models_score_a_folder_of_images_as_the_official_evaluator_lays_it_out(tmp_path, models, eyes):
    image = noise()
    found = {OBJECTS[each.label] for each in eyes.instances(image)}
    assert found
    there, absent = min(found), min(set(OBJECTS) - found)
    prompts = [
        {"tag": "single_object", "prompt": f"a photo of a {name}", "include": [{"class": name, "count": 1}]}
        for name in (there, absent)
    ]
    colour = eyes.colours(image, _of(eyes, image, there)[:1], there)[0]
    other = next(name for name in COLOURS if name != colour)
    prompts += [
        {
            "tag": "colors",
            "prompt": f"{name} {there}",
            "include": [{"class": there, "count": 1, "color": name}],
        }
        for name in (colour, other)
    ]
    data = tmp_path / "evaluation_metadata.jsonl"
    data.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    detector, clip = models
    spec = f"geneval?images=2&detector={detector}&clip={clip}&device=cpu"
    made = make_benchmark(f"{spec}&data={data}")
    out = tmp_path / "images"
    made.lay_out(out)
    for item in made.items():
        (out / item.files[0]).parent.mkdir()
        image.save(out / item.files[0])
    (out / made.items()[0].files[1]).write_bytes(b"no image")
    options = BenchScoreOptions(benchmark=spec, data=str(data), images=out, out=tmp_path / "run")
    scores = score_benchmark(options).columns[0].scores
    name = scores[0].name.removesuffix("/overall")
    assert name.startswith("geneval[mask2former-hf:tiny-m2f+tiny-clip,prompts=")
    values = {(score.name.removeprefix(f"{name}/"), score.mode): score.value for score in scores}
    assert values["single_object", Mode.OFFICIAL] == values["colors", Mode.OFFICIAL] == 0.5
    assert values["overall", Mode.STRICT] == 0.25
    assert (scores[0].expected, scores[0].scored, scores[0].missing) == (8, 4, 4)


def test_an_answer_holds_the_boxes_that_counted_so_that_it_can_be_judged_again(tmp_path, models):
    data = tmp_path / "evaluation_metadata.jsonl"
    data.write_text(json.dumps(SINGLE))
    detector, clip = models
    made = make_benchmark(f"geneval?data={data}&detector={detector}&clip={clip}&device=cpu")
    noise(seed=1).save(tmp_path / "a.png")
    pictures = [picture_from_path(tmp_path / "a.png"), None, picture_from_path(tmp_path / "none.png"), None]
    units = asyncio.run(made.scorer(None).score(made.items()[0], pictures))
    assert [unit.status for unit in units] == [Status.SCORED, *[Status.MISSING] * 3]
    answer = json.loads(json.dumps(units[0].answer))
    boxes = {name: [Box(*box) for box in held] for name, held in answer["details"].items()}
    assert all(box.score > 0.3 for held in boxes.values() for box in held)
    assert judge(demand_of(SINGLE), boxes, None).correct == bool(units[0].value) == answer["correct"]
    assert answer["detector"] == "mask2former-hf:tiny-m2f+tiny-clip"
    assert made.scorer(None)._detector is made.scorer(None)._detector


def _of(eyes, image, name) -> list[Instance]:
    held = [each for each in eyes.instances(image) if OBJECTS[each.label] == name]
    return sorted(held, key=lambda each: -each.box.score)


# --- refusals


def test_a_detector_of_other_classes_is_refused(tmp_path, models):
    other = tiny_mask2former(tmp_path / "five", classes=5)
    with pytest.raises(InputError, match="tells 5 classes apart, and GenEval's are COCO's 80"):
        Detector(str(other), models[1], "cpu")


def test_weights_come_from_safetensors_alone(tmp_path, models):
    folder = tiny_mask2former(tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        Detector(str(folder), models[1], "cpu")
