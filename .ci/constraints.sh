#!/usr/bin/env bash
# Writes constraints.txt: the exact versions that CI installs, for Python 3.10 and newer.
#   .ci/constraints.sh UV [--upgrade]
# Versions in the present file are kept where they still fit; --upgrade takes the newest instead.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1
export UV_PYTHON_DOWNLOADS=never
shift
"$uv" pip compile setup.cfg --universal --python-version 3.10 --quiet "$@" \
  --extra cpu --extra cluster --extra dev --extra docs --extra models --extra notebook \
  --extra perceptual --extra train \
  --strip-extras --no-annotate --no-header --output-file constraints.txt
{
  echo "# The exact versions that CI installs: pip install -c constraints.txt '.[cpu,dev]'"
  echo "# Made by \`make constraints\`. Left out: torch and torchvision, whose build depends on the machine,"
  echo "# and what a torch release requires in versions of its own."
  grep --extended-regexp --invert-match \
    '^(#|(torch|torchvision|triton|setuptools|sympy|mpmath)==|(cuda|nvidia)-)' constraints.txt
} > constraints.new
mv constraints.new constraints.txt
