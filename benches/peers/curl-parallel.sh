#!/bin/sh
# One curl for all: URL, KEY, a file of ids, how many at once.
sed "s|.*|url = \"$1/api/syncs/&/activate\"\noutput = /dev/null|" "$3" |
  curl -sS --noproxy '*' -f --parallel --parallel-immediate --parallel-max "$4" \
    -H "Authorization: Bearer $2" -H 'Content-Type: application/json' \
    -d '{"active": false}' -K -
