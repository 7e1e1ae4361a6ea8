"""The comparisons that lessons state: marked, asked of the kernel, and refused where the numbers say otherwise."""

import ast
import builtins

import nbformat
import pytest
from claims import stated
from execute import Client, Refuted, execute, write
from lessons import LESSONS, OTHERS, code_cells, name, read

lesson = pytest.mark.parametrize("path", LESSONS, ids=name)


def bound(tree: ast.AST) -> set[str]:
    """The names that a piece of code assigns, defines or imports."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names


@lesson
def test_a_claim_is_an_expression_over_names_that_stand_above_it(path):
    known = set(dir(builtins))
    for cell in code_cells(read(path)):
        known |= bound(ast.parse(cell.source))
        assert cell.source.count("# CLAIM") == len(stated(cell.source)), "write `# CLAIM: …` or `# CLAIM (full): …`"
        for claim in stated(cell.source):
            tree = ast.parse(claim.expression, mode="eval")
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - bound(tree)
            assert used - set(dir(builtins)), f"{claim.expression}: says nothing about this lesson"
            assert used <= known, f"{claim.expression}: no cell up to this one makes {used - known}"


@pytest.mark.skipif(bool(OTHERS), reason="about the course's own lessons")
def test_lessons_that_compare_state_it_as_claims():
    without = {path.stem[:2] for path in LESSONS if not any(stated(cell.source) for cell in code_cells(read(path)))}
    assert not without


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])


def test_the_kernel_is_asked_after_the_cell_and_false_claims_are_told_together():
    made = notebook("a, b = 1, 2\n# CLAIM: a < b\n# CLAIM (full): b < a\nprint(a)", "a = 3\n# CLAIM: a < b\n# CLAIM: c")
    few = Client(made, full=False, kernel_name="python3")
    with pytest.raises(Refuted) as told:
        few.execute()
    assert [cell.execution_count for cell in made.cells] == [1, 2] and made.cells[0].outputs[0].text == "1\n"
    false, unknown = str(told.value).splitlines()
    assert "`a < b` to hold, got False" in false and "name 'c' is not defined" in unknown
    with pytest.raises(Refuted, match="`b < a` to hold"):
        Client(notebook(made.cells[0].source), kernel_name="python3").execute()


def test_a_lesson_with_a_false_claim_is_not_written(tmp_path):
    path = tmp_path / "lesson.ipynb"
    write(notebook("a = 1\n# CLAIM (full): a > 1"), path)
    before = path.read_bytes()
    with pytest.raises(Refuted, match="`a > 1`"):
        execute(path)
    assert path.read_bytes() == before
