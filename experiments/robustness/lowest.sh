#!/usr/bin/env bash
# The tests with the oldest supported versions of everything that setup.cfg names, without torch.
#   experiments/robustness/lowest.sh python3.10 [FOLDER] [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python3.10}
place=${2:-$(mktemp -d)}
shift $(($# < 2 ? $# : 2))
"$python" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet uv
"$place/venv/bin/uv" pip install --quiet --python "$place/venv/bin/python" \
  --resolution lowest-direct '.[cpu]'
rm -rf build
"$place/venv/bin/python" -m pip uninstall --quiet --yes cooanalysis
"$place/venv/bin/python" -m pip install --quiet pytest pytest-timeout pytest-xdist hypothesis jsonschema
export PYTHONPATH="$PWD"
"$place/venv/bin/python" -m pytest -n 2 -m 'not notebooks and not slow' \
  --ignore tests/figures --ignore tests/training --ignore tests/experiments "$@"
