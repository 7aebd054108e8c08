"""The script of one run on a GPU, with something else in place of python3."""

import os
import subprocess
import sys
import tarfile
from itertools import pairwise

import pytest
from lanes import ROOT

GPU_RUN = ROOT / "kernels" / "benchmarks" / "gpu_run.sh"
# Stands in place of python3: says how it is called, and leaves what the real one would.
STUB = """#!{python}
import os, sys
from pathlib import Path
said = sys.argv[1:]
if said[0] == "-c":
    os.execv("{python}", ["{python}", *said] if "torch" not in said[1] else ["/bin/true", "true"])
with open("{calls}", "a") as file:
    print(*said, file=file)
after = dict(zip(said, said[1:]))
if "--junitxml" in said:
    Path(after["--junitxml"]).write_text("<testsuites/>")
elif said[0].endswith("run.py"):
    ops = [b for a, b in zip(said, said[1:]) if a == "--op"]
    for op in ops[:4] if "--ceilings" in said and not Path(after["--ceilings"]).exists() else ops:
        (Path(after["--out"]) / (op + "--some-gpu.json")).write_text("rows")
    Path(after["--ceilings"]).write_text("ceilings")
else:
    Path(after["--out"]).write_text("variants")
"""


@pytest.fixture
def gpu_run(tmp_path):
    """gpu_run(limit): the calls of python3 that the script makes, and the folder of what comes back."""
    bin_, out, calls = tmp_path / "bin", tmp_path / "out", tmp_path / "calls"
    bin_.mkdir()
    (bin_ / "python3").write_text(STUB.format(python=sys.executable, calls=calls))
    (bin_ / "nvidia-smi").write_text("#!/bin/sh\necho GPU 0\n")
    for file in bin_.iterdir():
        file.chmod(0o755)

    def start(limit):
        calls.unlink(missing_ok=True)
        subprocess.run(["bash", GPU_RUN], check=True, capture_output=True, timeout=120, env=os.environ | {
            "PATH": f"{bin_}:{os.environ['PATH']}", "OUT": str(out), "LIMIT": str(limit)})  # fmt: skip
        return [line.split() for line in calls.read_text().splitlines()], out

    return start


def test_the_script_of_the_gpu_calls_what_there_is(gpu_run):
    calls, _ = gpu_run(360)
    scripts = [ROOT / call[0] for call in calls if call[0] != "-m"]
    assert len(scripts) >= 4 and all(script.exists() for script in scripts)
    known = {script: subprocess.check_output([sys.executable, script, "--help"], text=True) for script in set(scripts)}
    for call in calls:
        options = [word for word in call if word.startswith("--")]
        if call[0] != "-m":
            assert options and all(f"{option} " in known[ROOT / call[0]] for option in options)
    (gate,) = (call for call in calls if call[:2] == ["-m", "pytest"])
    assert (ROOT / gate[2]).is_dir() and gate[gate.index("-m", 2) + 1] == "gpu"


def test_one_process_measures_all_ops_and_what_it_lost_is_tried_again(gpu_run):
    calls, out = gpu_run(360)
    runs = [call for call in calls if call[0].endswith("run.py")]
    ops = [[b for a, b in pairwise(call) if a == "--op"] for call in runs]
    there = {spec.parent.name for spec in (ROOT / "kernels" / "implicitly_kernels").glob("*/spec.py")}
    assert [call[call.index("--peers") + 1] for call in runs] == ["plain", "plain", "compile"]
    assert ops[0] == ops[2] and set(ops[0]) == there and ops[1] == ops[0][4:]  # the stub's first run loses these
    assert ops[0][:6] == ["langevin", "sign_nets", "relu_gd", "relu_flow", "perm_gd", "nvfp4"]
    assert len({call[call.index("--ceilings") + 1] for call in runs}) == 1
    back = {file.name for file in out.iterdir()}
    assert back == {"log.txt", "gate.xml", "all.tgz"}
    with tarfile.open(out / "all.tgz") as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
    assert names >= {"log.txt", "gate.xml", "variants.json", "ceilings.json", *(f"{op}--some-gpu.json" for op in there)}


def test_what_the_script_has_no_time_for_is_named(gpu_run):
    calls, out = gpu_run(20)
    assert [call[1] if call[0] == "-m" else call[0] for call in calls] == ["pytest"]
    log = (out / "log.txt").read_text()
    assert log.count("no time left for run.py") == 3 and "no time left for variants" in log
