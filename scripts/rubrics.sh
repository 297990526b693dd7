#!/bin/sh
# Build rubrics/shapes-t2i.json and rubrics/shapes-edit.json anew, just as `make demo` builds them.
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
