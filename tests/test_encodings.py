"""Text is read and written as UTF-8, whatever the system's own encoding is."""

import ast

import pytest
from conftest import ROOT

PROGRAMS = [
    path
    for part in ("ldr_lib", "website", "notebooks", "tests")
    for path in sorted((ROOT / part).rglob("*.py"))
    if "node_modules" not in path.parts
]
POSITION = {"read_text": 0, "write_text": 1}
"""At which place an encoding may be given without its name."""
PROCESSES = {"run", "Popen", "check_output", "check_call", "call"}


def without_encoding(program: str) -> list[int]:
    """Lines of the calls that read or write text in the system's own encoding."""
    calls = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call)]
    return sorted(call.lineno for call in calls if is_text(call) and not has_encoding(call))


def name_of(call: ast.Call) -> str:
    return getattr(call.func, "attr", "") or getattr(call.func, "id", "")


def named(call: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def has_encoding(call: ast.Call) -> bool:
    place = POSITION.get(name_of(call))
    return "encoding" in named(call) or place is not None and len(call.args) > place


def is_text(call: ast.Call) -> bool:
    name, given = name_of(call), named(call)
    if name in POSITION:
        return True
    if name in PROCESSES:
        return any(
            isinstance(given.get(word), ast.Constant) and given[word].value
            for word in ("text", "universal_newlines")
        )
    takes_path = isinstance(call.func, ast.Name) or name == "fdopen"
    if name not in ("open", "fdopen") or not (takes_path or is_of_path(call)):
        return False
    mode = given.get("mode", [*call.args, None, None][takes_path])
    modes = [one.value for one in ast.walk(mode) if isinstance(one, ast.Constant)] if mode else []
    return not any("b" in one for one in modes if isinstance(one, str))


def is_of_path(call: ast.Call) -> bool:
    """Whether a method `open` is that of a path, whose first argument is the mode."""
    first = call.args[0] if call.args else ast.Constant("r")
    chosen = first.body if isinstance(first, ast.IfExp) else first
    return isinstance(chosen, ast.Constant)


@pytest.mark.parametrize("part", ["ldr_lib", "website", "notebooks", "tests"])
def test_every_call_that_reads_or_writes_text_names_its_encoding(part):
    programs = [path for path in PROGRAMS if path.relative_to(ROOT).parts[0] == part]
    assert len(programs) > 5
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in programs
        for line in without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text()",
        "path.write_text(text)",
        "open(path)",
        "open(path, 'w')",
        "open(path, mode='a')",
        "path.open()",
        "path.open('w')",
        "os.fdopen(number, 'w')",
        "subprocess.run(words, text=True)",
        "subprocess.check_output(words, universal_newlines=True)",
    ],
)
def test_a_call_without_its_encoding_is_found(call):
    assert without_encoding(f"\n{call}") == [2]


@pytest.mark.parametrize(
    "call",
    [
        "path.read_text(encoding='utf-8')",
        "path.read_text('utf-8')",
        "path.write_text(text, 'utf-8', 'backslashreplace')",
        "open(path, 'rb')",
        "path.open('r+b' if there else 'wb')",
        "Image.open(path)",
        "Image.open(BytesIO(image) if is_packed else image)",
        "os.open(path, os.O_RDONLY)",
        "os.fdopen(number, 'wb')",
        "subprocess.run(words, encoding='utf-8')",
        "subprocess.run(words, text=False)",
        "subprocess.run(words)",
    ],
)
def test_a_call_that_needs_no_encoding_or_names_it_is_not_found(call):
    assert not without_encoding(call)
