#!/bin/sh
# Makes .venv: Python packages at exactly the versions of operator/constraints.txt. Called by make.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Tidemill needs Python 3.11 or newer; set PYTHON to one" >&2
    exit 1
}

twice() { "$@" || { echo "trying once more: $*" >&2; sleep 3; "$@"; }; }

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || {
        echo "Python's venv module is missing; install it (on Debian: apt-get install python3-venv)" >&2
        exit 1
    }
    twice apt-get update -qq
    twice apt-get install -y -qq python3-venv
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
[ -x .venv/bin/uv ] || .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
[ -x .venv/bin/uv ] || twice .venv/bin/python -m pip install --quiet 'uv>=0.8,<1'
twice .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python \
    --constraint operator/constraints.txt --editable '.[controller,workload,server,test]'
touch .venv/.ready
