#!/bin/sh
# Prints the recalls of one account's messages. Needs kcat and jq.
#
#   BOOTSTRAP_SERVERS=localhost:9092 examples/recalls_kcat.sh Jonh [COUNT [SECONDS]]
set -eu
account=${1:?"the account whose recalls to print"}

# As a member of a consumer group it goes on where it stopped, and shares the partitions with others of its name.
timeout "${3:-infinity}" kcat -b "${BOOTSTRAP_SERVERS:-localhost:9092}" -q -u -X auto.offset.reset=earliest \
    -G "recalls-kcat-$account" "${TOPIC:-im.events}" |
  jq --unbuffered -r --arg account "$account" '
    select(.type == "im.c2c.message.recalled" and .subject == $account)
    | "\(.time) \(.data.from_account) recalled \(.data.msg_key), \(.data.unread_total // "?") unread"' |
  if [ -n "${2:-}" ]; then head -n "$2"; else cat; fi
