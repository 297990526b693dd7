#!/bin/sh
# The main job of arrkit on the embedded shapes world: pairs become a rubric, and a judge is measured with
# and without it. No key, server, GPU or download. Usage: sh scripts/demo.sh [FOLDER]
set -eu
mkdir -p "${1:-demo}"
cd "${1:-demo}"

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run arrkit rubric build --task t2i --out t2i.json --force
run arrkit rubric build --task edit --out edit.json --force
run arrkit rubric show edit.json
run arrkit judge eval --dataset shapes-t2i:test --rubric t2i.json --out eval-t2i
run arrkit judge bias --dataset shapes-edit:test --rubric edit.json --out bias-edit

printf '\nThe rubrics: %s/t2i.json and edit.json\nThe reports, to open in a browser:\n' "$PWD"
find "$PWD" -name report.html | sort | sed 's/^/  /'
