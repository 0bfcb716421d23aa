"""tests/house/check finds what it is there for: each rule is broken once in a tree made for it."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import place
import process
import story

CHECK = place.ROOT / "tests" / "house" / "check"


class House(story.Story):
    """A tree with one file at a time."""

    def setUp(self):
        self.tree = place.directory("tree")
        process.run(["git", "init", "-q", self.tree])

    def check(self, build=None):
        return subprocess.run([sys.executable, CHECK, "--root", self.tree, *(["--build", build] if build else [])],
                              capture_output=True, text=True, check=False)

    def finds(self, name, content, finding):
        """The file, put into an otherwise clean tree, gives this finding and exit status 1."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        done = self.check()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(finding, done.stdout)
        path.unlink()

    def test_a_clean_tree_passes(self):
        for name in ("broker/base/own.c", "broker/base/own.h", "broker/wire/frame.h", "tests/run"):
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('#include "base/own.h"\n' if name.endswith(".h") and "wire" in name else "\n")
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_floors_and_rooms(self):
        self.finds("broker/base/attic.h", "\n", "broker/base/attic.h:1: room base/attic is not in the plan")
        self.finds("broker/stray.c", "\n", "broker/stray.c:1: broker/ itself holds only")
        self.finds("broker/wire/frame.c", "\n", "broker/wire/frame.c:1: a room is frame.c with frame.h")
        self.finds("broker/wire/frame.h", '\n#include "io/loop.h"\n', "broker/wire/frame.h:2: wire must not see io")
        self.finds("broker/track/track.h", '#include "secret/document.h"\n', ":1: track must not see secret")
        self.finds("broker/base/own.h", '#include "base/log.h"\n', ":1: own must not see log")
        self.finds("broker/base/own_part.h", '#include "base/log.h"\n', ":1: own must not see log")

    def test_homes_and_purity(self):
        self.finds("broker/base/own.h", "#include <uv.h>\n", ":1: <uv.h> is at home in io/* only")
        self.finds("broker/frontend/relay.h", "#include <libpq-fe.h>\n", ":1: <libpq-fe.h> is at home in backend/connect")
        self.finds("broker/track/track.h", "#include <time.h>\n", ":1: track/ is pure: no <time.h>")
        self.finds("broker/wire/frame.h", '#include "base/log.h"\n', ":1: wire/ is pure: no <base/log.h>")

    def test_names_and_sizes(self):
        self.finds("tests/common_helpers.py", "\n", "tests/common_helpers.py:1: the name common_helpers.py says nothing")
        self.finds("broker/base/own.h", "\n" * 121, "broker/base/own.h:121: 121 lines, a .h file stops at 120")
        self.finds("client/long.c", "\n" * 501, "client/long.c:501: 501 lines, a .c file stops at 500")
        self.finds("client/long.c", "int f(void)\n{\n" + "        f();\n" * 71 + "}\n",
                   "client/long.c:2: 71 lines, a function stops at 70")

    def test_traps(self):
        (self.tree / "tests" / "unit").mkdir(parents=True)
        (self.tree / "tests" / "unit" / "test_x.c").write_text("static void a_name_is_found(void **state)\n")
        for told, finding in (("", "tests/README.md:4: a trap without a test"),
                              ("`unit/test_x.c: a name is lost`", ":4: no such test: unit/test_x.c: a name is lost"),
                              ("`unit/test_x.c: a name`, `stories/y.py: a name`", ":4: no such test: stories/y.py: a name")):
            self.finds("tests/README.md", f"## Traps\n| x | told by |\n|---|---|\n| A trap. | {told} |\n", finding)
        (self.tree / "tests" / "README.md").write_text("## Traps\n| A trap. | `unit/test_x.c: a name is` |\n## More\n| A table. | x |\n")
        self.assertEqual(self.check().returncode, 0)

    def test_machines_and_left_overs_and_scripts(self):
        self.finds("README.md", "see /" + "root/notes\n", "README.md:1: a path of one machine")
        self.finds("tests/x.py", "pass\n# TO" + "DO: later\n", "tests/x.py:2: do it, or write it into an issue")
        self.finds("tests/x.py", "\nif:\n", "tests/x.py:2: not Python")
        self.finds("tests/x", "#!/bin/bash\nif true\n", "bash -n")

    def test_mutable_globals(self):
        objects = self.tree / "build" / "CMakeFiles" / "pgb_base.dir" / "broker" / "base"
        objects.mkdir(parents=True)
        source = self.tree / "broker" / "base" / "own.c"
        source.parent.mkdir(parents=True)
        source.with_suffix(".h").write_text("\n")
        for content, found in (("const char *const names[] = {\"a\"};\nint next(int n) { return n + 1; }\n", False),
                               ("int next(void)\n{\n        static int n;\n        return ++n;\n}\n", True),
                               ("int counter;\n", True), ("_Thread_local int counter;\n", True)):
            source.write_text(content)
            process.run(["gcc", "-fPIE", "-c", source, "-o", objects / "own.c.o"])
            done = self.check(build=self.tree / "build")
            self.assertEqual("is a mutable global" in done.stdout, found, content + done.stdout)


if __name__ == "__main__":
    story.main()
