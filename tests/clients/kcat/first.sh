#!/usr/bin/env bash
# Fresh groups one after another, as tests/src/first_record.rs directs them. Each is a process of its
# own, whose start is part of what is measured.
set -u

while read -r address group; do
  started=${EPOCHREALTIME/./}
  exec 3< <(exec "$KCAT" -q -u -b "$address" -X auto.offset.reset=earliest -c 1 -G "$group" \
    "$FIRST_TOPIC")
  process=$!
  read -r _ <&3 || exit
  ended=${EPOCHREALTIME/./}
  wait "$process"
  exec 3<&-
  echo "first $((ended - started))"
done
