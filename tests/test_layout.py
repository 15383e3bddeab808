"""The structure of the package: what may import what, read from the source and not by the tool that also checks it."""

import ast
import functools
from pathlib import Path

import networkx

import ptheta

ROOT = Path(ptheta.__file__).parent
FILES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}


@functools.cache
def nodes(name: str) -> list[ast.AST]:
    """The syntax of a module of the package."""
    return list(ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))))


def imports(name: str) -> list[tuple[str, list[str]]]:
    """Module → names taken from it, of all imports of a module of the package: at the top, in functions, for types."""
    found = []
    for node in nodes(name):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "ptheta":
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                found.append((module, []) if module in FILES else (node.module, [alias.name]))
        elif isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names if alias.name.split(".")[0] == "ptheta"]
    return found


def test_no_module_imports_itself_on_any_way():
    graph = networkx.DiGraph((name, module) for name in FILES for module, _ in imports(name) if module != name)
    assert len(graph) > 200
    assert [sorted(part) for part in networkx.strongly_connected_components(graph) if len(part) > 1] == []


def test_private_names_stay_in_their_file():
    taken = {(name, one) for name in FILES for _, names in imports(name) for one in names if one.startswith("_")}
    assert sorted((name, one) for name, one in taken if one != "__version__") == []


def test_every_text_file_is_opened_in_a_named_encoding():
    """That of the locale may be ASCII."""
    found, unnamed = 0, []
    for name in FILES:
        for node in nodes(name):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if called in ("read_text", "write_text") and isinstance(node, ast.Call):
                found += 1
                if not any(keyword.arg == "encoding" for keyword in node.keywords):
                    unnamed.append(f"{name}:{node.lineno}")
    assert found > 3
    assert unnamed == []
