#!/bin/bash
# One run on a machine with a GPU, in at most six minutes; what was measured comes back even where a part fails.
# Nothing of ours is installed there: torch, triton, numba and pytest with its xdist and timeout are.
#
#     OUT=results bash kernels/benchmarks/gpu_run.sh [folder of wheels of peers]
set -u
: "${OUT:?where the results go}"
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$OUT"
kept=$(mktemp -d)
export PYTHONPATH=$PWD/kernels:$kept/site PYTHONUNBUFFERED=1
export TRITON_CACHE_DIR=$kept/triton TORCHINDUCTOR_CACHE_DIR=$kept/inductor
exec > >(tee "$OUT/log.txt") 2>&1

nvidia-smi -L
python3 -c 'import torch, triton; print("torch", torch.__version__, "triton", triton.__version__)'
command -v gcc git || echo "no gcc, or no git"
if [ $# -gt 0 ]; then python3 -m pip install -q --no-index --no-deps --target "$kept/site" "$1"/*.whl; fi

# the gate: all ops at once; a red op is timed all the same, and marked
timeout 120 python3 -m pytest tests/kernels -m gpu -n 7 --dist loadfile -q --timeout 90 --tb short -p no:cacheprovider \
    --junitxml "$kept/gate.xml"
cp "$kept/gate.xml" "$OUT/gate.xml"

run() { python3 kernels/benchmarks/run.py --device cuda --gated "$kept/gate.xml" --out "$OUT" --budget 2 "$@"; }
export -f run
export kept
ops=$(python3 -c 'from implicitly_kernels._ops import ops; print(*ops())')
for op in $ops; do
    [ $SECONDS -gt 240 ] && echo "$op: no time left" && continue
    timeout 60 bash -c "run --peers plain --op $op"
done
if [ $SECONDS -gt 280 ]; then echo "no time left for variants"; else
    timeout 70 python3 kernels/benchmarks/gpu_variants.py --out "$OUT/variants.json"
fi
for op in $ops; do  # torch.compile takes its time: last
    [ $SECONDS -gt 320 ] && echo "$op: no time left for compiled peers" && continue
    timeout 60 bash -c "run --peers compile --op $op"
done
