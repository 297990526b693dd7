#!/bin/sh
# The main job of arrkit on the embedded shapes world, from end to end: pairs become a rubric, a judge is measured
# with and without it, and a model is trained against it. No key, server, GPU or download.
# Usage: sh scripts/demo.sh [FOLDER]
set -eu
# Updates of the training: enough to see the gain in two minutes or so. A full run has the preset's number.
updates=${DEMO_UPDATES:-40}
mkdir -p "${1:-demo}"
cd "${1:-demo}"

run() {
    printf '\n\033[1m$ %s\033[0m\n' "$*"
    "$@"
}

say() {
    printf '\n%s\n' "$*"
}

say "1. Learn a rubric for edits, and one for text to image, from the embedded preference pairs."
run arrkit rubric build --task edit --out shapes-edit.json --force
run arrkit rubric build --task t2i --out shapes-t2i.json --force

say "2. On other pairs: how often does the judge agree with people, without the rubric and with it?"
run arrkit judge eval --rubric shapes-t2i.json --by category --out eval-t2i

say "3. The same judge, made to favour the first image in 40 % of the cases: the report finds that."
run arrkit judge bias --rubric shapes-edit.json --judge "shapes?primacy=0.4" --out bias-edit

say "4. A small model paints two pictures for each prompt and learns from the judge which is better, under a rubric built alike."
run arrkit rpo train --policy shapes --max-steps "$updates" --eval-every 20 --out train --force

say "The rubrics are in $PWD: shapes-edit.json and shapes-t2i.json. The reports, to open in a browser:"
find "$PWD" -name report.html | sort | sed 's/^/  /'
say "What the model painted before and after, for prompts that it was not trained on:"
echo "  $PWD/train/before-after.png"

say "To go on by yourself: $(command -v arrkit) --help"
