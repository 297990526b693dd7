#!/bin/sh
# The main job of arrkit on the embedded shapes world: pairs become a rubric, and a judge is measured with
# and without it. No key, server, GPU or download. Usage: sh scripts/demo.sh [FOLDER]
set -eu
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

say "The rubrics are in $PWD: shapes-edit.json and shapes-t2i.json. The reports, to open in a browser:"
find "$PWD" -name report.html | sort | sed 's/^/  /'

say "To go on by yourself: $(command -v arrkit) --help"
