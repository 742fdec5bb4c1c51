#!/usr/bin/env bash
# Builds the wheel, installs it in a clean environment, and runs every process and every task from there with
# the working directory at /. An import that resolves in the checkout and not in a deployment fails here.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
uv=$root/.venv/bin/uv
work=$(mktemp -d "${TMPDIR:-/tmp}/whodex-wheel.XXXXXX")
whodex=$work/venv/bin/whodex
trap 'finish' EXIT

finish() {
  [[ ! -x $whodex ]] || "$whodex" --state-dir "$work/state" down
  rm -rf "$work"
}

echo "== the wheel"
"$uv" build --quiet --wheel --no-build-isolation --python "$root/.venv/bin/python" --out-dir "$work/dist" "$root"
"$uv" venv --quiet --python "$root/.venv/bin/python" "$work/venv"
"$uv" pip install --quiet --compile-bytecode --python "$work/venv/bin/python" --constraints "$root/requirements/dev.lock" \
  "whodex[local] @ file://$(echo "$work"/dist/*.whl)"

cd /
unset PYTHONPATH WHODEX_STATE_DIR
for package in whodex api_server inference indexer; do
  where=$("$work/venv/bin/python" -c "import $package; print($package.__file__)")
  [[ $where == "$work/venv/"* ]] || { echo "$package comes from $where, not from the wheel" >&2; exit 1; }
done

echo "== the stack"
"$whodex" models pull
"$whodex" demo --pull
"$whodex" --state-dir "$work/state" up --detach

echo "== every task"
"$whodex" --state-dir "$work/state" smoke

echo "== every service of docker-compose.yml, from what its image holds"
"$uv" venv --quiet --python "$root/.venv/bin/python" "$work/services"
"$uv" pip install --quiet --compile-bytecode --python "$work/services/bin/python" \
  --constraints "$root/requirements/dev.lock" "whodex[api-server,inference,indexer] @ file://$(echo "$work"/dist/*.whl)"
"$root/.venv/bin/python" "$root/tests/wheel/containers.py" --python "$work/services/bin/python" --state-dir "$work/state"

echo "== the model repositories of the image of Triton"
for target in openvino cuda tensorrt; do
  "$whodex" models repository "$work/models/$target" --target "$target"
done
