#!/bin/sh
# Start a bento in its container: no arguments, or options first, serve it; `serve ...` too; anything else is executed.
set -eu

if [ -n "${PORT:-}" ]; then
    export BENTOML_PORT="$PORT"
fi
export PATH="/app/.venv/bin:$PATH"
bento="${BENTO_PATH:-/home/bentoml/bento}"
home="${BENTOML_HOME:-/home/bentoml}"

# A user without a name, or a file system that nobody may write to: what has to be written goes to /tmp, and ends with the container.
if [ "${HOME:-/}" = / ]; then
    if [ -w "$home" ]; then export HOME="$home"; else export HOME=/tmp; fi
fi
if [ -e "$home/state" ]; then state="$home/state"; else state="$home"; fi
if [ ! -w "$state" ]; then
    export BENTOML_RESULT_STORE="${BENTOML_RESULT_STORE:-/tmp/bentoml-tasks.db}"
fi

if [ $# -eq 0 ]; then
    set -- serve
fi
case "$1" in
    -*) exec bentoml serve "$@" "$bento" ;;
    serve | serve-http) exec bentoml "$@" "$bento" ;;
    *) exec "$@" ;;
esac
