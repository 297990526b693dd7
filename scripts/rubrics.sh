#!/bin/sh
# Build the shipped rubrics of the shapes world anew: those of `make demo`, and the one that its model trains on.
# The time in them is fixed, so that the same code writes the same bytes. Usage: sh scripts/rubrics.sh PYTHON
set -eu
python=$(command -v "$1")
case $python in /*) ;; *) python=$PWD/$python ;; esac
target=$PWD/rubrics
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for task in t2i edit; do
    SOURCE_DATE_EPOCH=1795305600 "$python" -m arrkit rubric build --task "$task" --out "shapes-$task.json" >/dev/null
    cp "shapes-$task.json" "$target/"
done
# One criterion a pair and more pairs: less is said of general looks, which a policy would be trained towards.
SOURCE_DATE_EPOCH=1795305600 "$python" -m arrkit rubric build --task t2i --dataset "shapes-t2i:train?n=600" \
    --criteria 1 --name shapes-painting --out shapes-painting.json >/dev/null
cp shapes-painting.json "$target/"
