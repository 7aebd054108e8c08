"""Compile page functions to WebAssembly: `make wasm`.

    python book/_tools/wasm.py            builds the modules whose source has changed
    python book/_tools/wasm.py --all      builds all
    python book/_tools/wasm.py --check    builds nothing; fails if a module is stale, missing or nobody's

A page function (`implicitly.explorer.page_function`) of a module of the library has its compiled module beside its
source, committed. numba writes its code for no particular CPU and unoptimized; llvmlite makes that code for wasm32;
wasm-ld, which nothing else of the book needs, links it. What needs no module: reading, `make book`, JupyterLab.
"""

import argparse
import gzip
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ensure_lld
from paths import ROOT

#: Where page functions are: the library, and what the explorer's script is measured with.
HOMES = {ROOT / "lib/implicitly": "implicitly.", ROOT / "lib/explorer-js/bench": ""}
#: numba reads these when it is imported.
ENVIRONMENT = {
    "NUMBA_OPT": "0", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_LOOP_VECTORIZE": "0",
    "NUMBA_DISABLE_JIT": "0", "PYTHONHASHSEED": "0", "IMPLICITLY_WASM": "1",
}  # fmt: skip
LAYOUT = "e-m:e-p:32:32-p10:8:8-p20:8:8-i64:64-i128:128-n32:64-S128-ni:1:10:20"
#: What the page's script has for a module: functions of `Math`, what hears how far it is, and a stub.
MATH = {"acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp", "expm1", "hypot",
        "log", "log10", "log1p", "log2", "pow", "sin", "sinh", "tan", "tanh"}  # fmt: skip
EXACT = ("ceil", "copysign", "fabs", "floor", "rint", "sqrt", "trunc")
#: What numba calls for `ravel` and `reshape`, which it allows of contiguous arrays alone: strides of a C-ordered view.
RESHAPE = """
define internal i32 @numba_attempt_nocopy_reshape(i64 %nd, PTR %dims, PTR %strides, i64 %newnd, PTR %newdims,
                                                  PTR %newstrides, i64 %size, i32 %order) alwaysinline {
entry:
  br label %head
head:
  %i = phi i64 [%newnd, %entry], [%j, %body]
  %stride = phi i64 [%size, %entry], [%next, %body]
  %more = icmp sgt i64 %i, 0
  br i1 %more, label %body, label %done
body:
  %j = sub i64 %i, 1
  %at = getelementptr i64, PTR %newstrides, i64 %j
  store i64 %stride, PTR %at
  %of = getelementptr i64, PTR %newdims, i64 %j
  %length = load i64, PTR %of
  %next = mul i64 %stride, %length
  br label %head
done:
  ret i32 1
}
"""
HOST = MATH | {name + "f" for name in MATH} | {"progress", "NRT_MemInfo_call_dtor"}


def functions():
    """Every page function of the library, by the path of its module."""
    from implicitly.explorer.compiled import PageFunction

    found = {}
    for home, package in HOMES.items():
        if not package and str(home) not in sys.path:
            sys.path.append(str(home))
        for path in sorted(home.rglob("*.py")):
            if not re.search(r"^@page_function\(", path.read_text(encoding="utf-8"), re.MULTILINE):
                continue
            module = importlib.import_module(package + ".".join(path.relative_to(home).with_suffix("").parts))
            for value in vars(module).values():
                if isinstance(value, PageFunction) and value.__module__ == module.__name__:
                    found[value.path] = value
    return found


def versions() -> dict:
    import llvmlite
    import numba

    python = ".".join(map(str, sys.version_info[:2]))
    return {"python": python, "numba": numba.__version__, "llvmlite": llvmlite.__version__, "lld": ensure_lld.MAJOR}


def entry(function):
    """An eagerly compiled numba function of pointers, numba's form of `function` for the page."""
    import llvmlite.binding as llvm
    import numba
    from numba import types

    from implicitly.explorer.compiled import _inside
    from implicitly.explorer.strict import STRICT, strict

    llvm.add_symbol("progress", 1)  # numba also links for this machine, where nobody calls it

    numbers = [types.float64 if kind is float else types.int64 for kind in function.params.values()]
    arrays = function.arrays
    names = [f"p{k}" for k in range(len(numbers))]
    pointers = [f"a{k}" for k in range(len(arrays))]
    views = [f"carray({p}, {_inside(shape)})" for p, shape in zip(pointers, arrays.values(), strict=True)]
    text = f"def entry({', '.join(names + pointers)}):\n    inner({', '.join(names + views)})\n"
    inner = numba.njit(**STRICT)(strict(function.function))
    scope = {"inner": inner, "carray": numba.carray}
    exec(text, scope)
    pointer = types.CPointer(types.float64)
    return numba.njit(types.void(*numbers, *[pointer] * len(arrays)), **STRICT)(scope["entry"])


def compile_one(function) -> bytes:
    """The module of a page function.

    Raises:
        ValueError: the function wants something that a page does not have, or its module is too large.
    """
    import llvmlite.binding as llvm

    from implicitly.explorer.compiled import MODULE
    from implicitly.explorer.strict import SECTION

    compiled = next(iter(entry(function).overloads.values()))
    name = compiled.fndesc.llvm_func_name
    ir = compiled.library.get_llvm_str()
    loose = re.search(r"= f\w+ (fast|contract|reassoc|nnan|ninf|nsz|arcp|afn)\b.*", ir)
    if loose:
        raise ValueError(f"{function.name} calls a numba function with fastmath through its module; import its name")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    ir = re.sub(r'target triple = ".*"', 'target triple = "wasm32-unknown-unknown"', ir)
    ir = re.sub(r'target datalayout = ".*"', f'target datalayout = "{LAYOUT}"', ir)
    ir = ir.replace(" common global", " internal global")  # wasm has no common symbols
    ir = re.sub(r'"target-(cpu|features)"="[^"]*"', "", ir)
    declared = re.search(r"^declare i32 @numba_attempt_nocopy_reshape\(i64[^,]*, (i64\*|ptr).*$", ir, re.MULTILINE)
    if declared:
        ir = ir.replace(declared[0], RESHAPE.replace("PTR", declared[1]))
    for exact in EXACT:  # instructions of WebAssembly
        for ending, width in (("", 64), ("f", 32)):
            ir = re.sub(rf'@"?{exact}{ending}"?(?=\()', f"@llvm.{exact}.f{width}", ir)
    # numba's names hold counters, which depend on what else was compiled
    ir = re.sub(rf"@{re.escape(name)}\b" if name.isidentifier() else re.escape(f'@"{name}"'), "@f", ir)
    module = llvm.parse_assembly(ir)
    for part in module.functions:  # keep the one export; the optimizer drops what nobody calls
        if not part.is_declaration and part.name != "f":
            part.linkage = "internal"
    module.verify()
    target = llvm.Target.from_triple("wasm32-unknown-unknown")
    machine = target.create_target_machine(opt=3, features="+bulk-memory,+simd128", reloc="static")
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    asked = {part.name for part in module.functions if part.is_declaration}
    missing = sorted(name for name in asked - HOST if not name.startswith("llvm."))
    if missing:
        allocates = any(m.startswith("NRT_") for m in missing)
        raise ValueError(
            f"{function.name} needs {missing}, which a page does not have"
            + (": it allocates; hand it work arrays" if allocates else "")
        )
    with tempfile.TemporaryDirectory() as folder:
        obj, out = Path(folder, "f.o"), Path(folder, "f.wasm")
        obj.write_bytes(machine.emit_object(module))
        subprocess.run(
            [ensure_lld.find() or sys.exit(ensure_lld.HINT), "--no-entry", "--export=f", "--export=__heap_base",
             "--allow-undefined", "--gc-sections", "--strip-all", "-O3", "--stack-first", str(obj), "-o", str(out)],
            check=True)  # fmt: skip
        content = out.read_bytes()
    strange = sorted(imports(content) - HOST)  # what an intrinsic became, as exp2 of 2.0**x
    if strange:
        raise ValueError(f"{function.name} needs {strange}, which a page does not have")
    said = json.dumps({"digest": function.digest(), **versions()}, sort_keys=True, separators=(",", ":")).encode()
    payload = leb(len(SECTION)) + SECTION.encode() + said
    content += b"\0" + leb(len(payload)) + payload
    size = len(gzip.compress(content, 9, mtime=0))
    if size > MODULE:
        raise ValueError(f"{function.name}: its module takes {size:,} bytes gzipped, at most {MODULE:,} are allowed")
    return content


def imports(module: bytes) -> set[str]:
    """Names of the functions that a module asks its page for."""
    from implicitly.explorer.strict import _leb

    at, found = 8, set()
    while at < len(module):
        kind, (size, start) = module[at], _leb(module, at + 1)
        if kind == 2:
            count, here = _leb(module, start)
            for _ in range(count):
                for _ in ("module", "name"):
                    length, first = _leb(module, here)
                    here = first + length
                found.add(module[first:here].decode())
                _, here = _leb(module, here + 1)  # of a function, the number of its type; nothing else is asked for
        at = start + size
    return found


def leb(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def stale(found) -> dict[Path, str]:
    """What is wrong with the committed modules: path -> words."""
    from implicitly.explorer.strict import about

    wrong = {}
    for path, function in found.items():
        if not path.is_file():
            wrong[path] = "is missing"
        elif about(path.read_bytes()).get("digest") != function.digest():
            wrong[path] = "is not what its source compiles to"
    for path in (path for home in HOMES for path in home.rglob("*.wasm")):
        if path not in found:
            wrong[path] = "belongs to no page function"
    return wrong


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--out", type=Path, help="folder for the modules, in place of beside their sources")
    options = parser.parse_args(argv)
    if not options.check and "IMPLICITLY_WASM" not in os.environ:
        command = [sys.executable, __file__, *(sys.argv[1:] if argv is None else argv)]
        return subprocess.run(command, env={**os.environ, **ENVIRONMENT}, check=False).returncode
    found = functions()
    wrong = stale(found)
    if options.check:
        for path, words in wrong.items():
            print(f"{path.relative_to(ROOT)} {words} (run `make wasm`)")
        return int(bool(wrong))
    for path in set(wrong) - set(found):
        path.unlink()
        print(f"{path.relative_to(ROOT)}: removed, it {wrong[path]}")
    for path, function in found.items():
        if options.all or path in wrong:
            content = compile_one(function)
            (options.out / path.name if options.out else path).write_bytes(content)
            print(f"{path.relative_to(ROOT)}: {len(content):,} bytes, {len(gzip.compress(content, 9)):,} gzipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
