"""The kernel of a submission: IPython's, in which test cells find names and functions as the course gave them out.

It is sent as text (`python -c`), because this folder cannot be seen where it runs. Its first argument are the
import statements of the instructor's cells. A test cell runs as plain Python in a namespace of its own: what a student
called `checks`, did to IPython, or shows with a display hook is not part of it. Before it, replaced functions are put
back; when they are replaced again while it runs, it fails. What was replaced goes into the reply, as `changed`.

Student code lives in the same process, and with enough effort reaches all of this: see the guide.
"""

import builtins
import contextlib
import symtable
import sys
import types

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

COURSE = ("cam_helpers", "drawn_world", "photo_sets")
CHANGING = ("sys", "matplotlib", "__main__")  # change by themselves, and no test compares with them


def serve(imports: str) -> None:
    """Run the kernel until it is shut down."""
    places = {}  # name of a module or class -> itself, its contents, and the code of the functions among them
    given = {}  # names that the course's own cells define
    left = {}  # names that test cells leave for later ones

    def look(put=setattr, drop=delattr, contents=vars, kinds=(type, types.ModuleType)) -> list[str]:
        """Put back what was replaced in the places; -> its names."""
        changed = []
        for label, (place, kept, codes) in places.items():
            now = contents(place)
            changed += [f"{label}.{name}" for name, value in kept.items() if now.get(name) is not value]
            for name, value in kept.items():
                if now.get(name) is not value:
                    put(place, name, value)
            for function, code in codes.items():
                if function.__code__ is not code:
                    function.__code__ = code
                    changed.append(f"{label}.{function.__name__}")
            if label == "torch.Tensor" or label.startswith(COURSE):  # nothing may be added to these
                added = [n for n, v in now.items() if n not in kept and (label == "torch.Tensor" or callable(v))]
                added = [n for n in added if not isinstance(now[n], kinds)]
                changed += [f"{label}.{name}" for name in added]
                for name in added:
                    drop(place, name)
            if isinstance(place, types.ModuleType) and sys.modules.get(label) is not place:
                sys.modules[label] = place
                changed.append(label)
        if sys.gettrace() or sys.getprofile():
            sys.settrace(None)
            sys.setprofile(None)
            changed.append("sys.settrace")
        return changed

    def begin() -> None:
        """Remember everything that test cells use, before any student's code runs."""
        names = {}
        for statement in imports.splitlines():
            with contextlib.suppress(Exception):
                exec(statement, names)
        used = {getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in names.values()}
        used |= set(imports.replace(",", " ").split())  # import a.b
        loaded = {n: module for n, module in sys.modules.items() if n in used or n.partition(".")[0] in COURSE}
        watched = {"builtins": builtins}  # first: the others are compared with their help
        watched |= {n: module for n, module in loaded.items() if n.partition(".")[0] not in CHANGING}
        for label, module in [*watched.items()][1:]:
            classes = [value for value in vars(module).values() if isinstance(value, type)]
            own = [c for c in classes if str(c.__module__).partition(".")[0] == label.partition(".")[0]]
            watched |= {f"{c.__module__}.{c.__qualname__}": c for c in own}
        for label, place in watched.items():
            all_of_it = label == "torch.Tensor"  # `shape` is not callable
            kept = {n: v for n, v in vars(place).items() if all_of_it or callable(v) or isinstance(v, property)}
            codes = {v: v.__code__ for v in kept.values() if isinstance(v, types.FunctionType)}
            places[label] = place, kept, codes

    def run_test(code: str, student: dict) -> dict:
        """Execute a test cell -> the reply of the kernel."""
        changed = look()
        before = {name: value for name, value in student.items() if name not in vars(builtins)}
        before |= given | left | {"__builtins__": builtins}
        names = dict(before)
        error = None
        try:
            exec(compile(code, "<test>", "exec"), names)
        except BaseException as raised:
            error = raised
        while_it_ran = look()
        if while_it_ran and error is None:
            error = AssertionError(f"{while_it_ran[0]} was replaced while the test ran")
        left.update({name: value for name, value in names.items() if before.get(name) is not value})
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
        reply = {"status": "ok", "user_expressions": {}, "payload": [], "changed": [*changed, *while_it_ran]}
        if error is not None:
            kind, message = type(error).__name__, str(error)
            reply |= {"status": "error", "ename": kind, "evalue": message, "traceback": [f"{kind}: {message}"]}
        return reply

    class Kernel(IPythonKernel):
        async def do_execute(self, code, silent, store_history=True, user_expressions=None, **options):
            kind = (user_expressions or {}).get("kind")
            if not places:
                begin()
            if kind == "test":
                return run_test(code, self.shell.user_ns) | {"execution_count": self.execution_count}
            reply = await super().do_execute(code, silent, store_history, {}, **options)
            if kind == "course":
                with contextlib.suppress(SyntaxError):  # a magic command
                    symbols = symtable.symtable(code, "<cell>", "exec").get_symbols()
                    names = [s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()]
                    given.update({name: self.shell.user_ns[name] for name in names if name in self.shell.user_ns})
            return reply

    IPKernelApp.launch_instance(kernel_class=Kernel)


if __name__ == "__main__":
    if sys.path[0] == "":
        del sys.path[0]
    serve(sys.argv.pop(1))
