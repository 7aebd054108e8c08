"""A chapter's statements: what each reads, binds and changes, as far as its text shows it."""

import ast
import builtins
from dataclasses import dataclass, field

CHANGERS = {"add", "append", "clear", "extend", "insert", "pop", "remove", "reverse", "setdefault", "sort", "update"}


def parameters(node):
    args = node.args
    return {a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg) if a}


def read(node, bound):
    """Names that `node` reads and that are not in `bound`; what it binds is added to `bound`."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            return {node.id} - bound
        bound.add(node.id)
        return set()
    if isinstance(node, ast.Import | ast.ImportFrom):
        bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        return set()
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        bound |= {node.name} if isinstance(node, ast.FunctionDef) else set()
        given = decorators_of(node, bound) | defaults_of(node, bound)
        return given | read_all(body_of(node), bound | parameters(node))
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        inner = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return read_all([part for g in node.generators for part in (g.iter, g.target, *g.ifs)] + inner, set(bound))
    if isinstance(node, ast.Assign):  # the value is read before the targets are bound
        return read_all([node.value, *node.targets], bound)
    if isinstance(node, ast.AugAssign):  # `x += 1` reads x
        target = {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)} - bound
        return target | read_all([node.value, node.target], bound)
    if isinstance(node, ast.For):
        return read_all([node.iter, node.target, *node.body, *node.orelse], bound)
    return read_all(ast.iter_child_nodes(node), bound)


def read_all(nodes, bound):
    return set().union(*[read(node, bound) for node in nodes])


def body_of(function):
    return function.body if isinstance(function.body, list) else [function.body]


def decorators_of(function, bound):
    return read_all(getattr(function, "decorator_list", []), bound)


def defaults_of(function, bound):
    return read_all([*function.args.defaults, *filter(None, function.args.kw_defaults)], bound)


def base(node):
    """The name that `name[k].part` starts with, or None."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def changed(node):
    """Names whose objects a statement changes in place, as far as its text shows it."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store):
            found.add(base(part))
        elif isinstance(part, ast.AugAssign):
            found.add(base(part.target))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            name = part.func.attr
            if name in CHANGERS or (name.endswith("_") and not name.endswith("__")):
                found.add(base(part.func.value))
    # `for store in (here, there): store.append(...)` changes what it walks over
    for part in ast.walk(node):
        if isinstance(part, ast.For) and found & {n.id for n in ast.walk(part.target) if isinstance(n, ast.Name)}:
            found |= {n.id for n in ast.walk(part.iter) if isinstance(n, ast.Name)}
    return found - {None}


@dataclass(eq=False)
class Statement:
    """One statement of a chapter: what it reads, hands on, and, if it defines a function, what the function reads."""

    node: ast.stmt
    cell: int
    reads: set = field(default_factory=set)
    hands_on: set = field(default_factory=set)
    changes: set = field(default_factory=set)
    later: set = field(default_factory=set)

    def __post_init__(self):
        self.source = ast.unparse(self.node)
        known = set(dir(builtins))
        if isinstance(self.node, ast.FunctionDef):
            self.reads, self.hands_on = defaults_of(self.node, set(known)), {self.node.name}
            self.later = read_all(self.node.body, known | parameters(self.node)) | decorators_of(self.node, known)
            if self.reads:  # defaults are read where the function is defined, so it is kept as it was made there
                self.reads, self.later = self.reads | self.later - {self.node.name}, set()
            return
        bound = set(known)
        self.reads = read(self.node, bound)
        self.changes = changed(self.node) & self.reads
        self.hands_on = (bound - known) | self.changes

    @property
    def anew(self):
        """Whether it is cheap, and says nothing until it is used: run wherever one of its names is read."""
        return isinstance(self.node, ast.Import | ast.ImportFrom) or (
            isinstance(self.node, ast.FunctionDef) and not self.reads
        )
