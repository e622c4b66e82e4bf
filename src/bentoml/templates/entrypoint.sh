#!/bin/sh
# Start a bento in its container: no arguments, or options first, serve it; `serve ...` too; anything else is executed.
set -eu

if [ -n "${PORT:-}" ]; then
    export BENTOML_PORT="$PORT"
fi
export PATH="/app/.venv/bin:$PATH"
bento="${BENTO_PATH:-/home/bentoml/bento}"

if [ $# -eq 0 ]; then
    set -- serve
fi
case "$1" in
    -*) exec bentoml serve "$@" "$bento" ;;
    serve | serve-http) exec bentoml "$@" "$bento" ;;
    *) exec "$@" ;;
esac
