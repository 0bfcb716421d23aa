"""node's two drivers, node-postgres and postgres.js, in processes of their own over a small pool."""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import process
import story
import workload
from world import World

DEBIAN = "/usr/share/nodejs"                        # where node-pg is, if node is Debian's too
WANTED = {"pg": "pg@8", "postgres": "postgres@3"}

_fetched = {}


def fetch(module):
    """A folder with this module from npm, once a run; None and npm's words if it could not be had."""
    if module not in _fetched:
        folder = place.directory("npm")
        done = process.run(["npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--fetch-retries=1",
                            "--prefix", folder, WANTED[module]], check=False, timeout=120, env=os.environ, cwd=folder)
        _fetched[module] = (folder / "node_modules" if done.returncode == 0 else None, done.stderr.strip()[-200:])
    return _fetched[module]


class Node(story.Story):
    """Each story is one program of tests/workloads, two processes of it with three lanes each."""

    timeout = 240

    def modules(self, module):
        """A value of NODE_PATH with which `require(module)` works, or the story is skipped."""
        if shutil.which("node") is None:
            self.skipTest("node is not installed")
        asked = process.run(["node", "-e", f"require('{module}')"], check=False, cwd="/",
                            env=broker.environment("/nonexistent", NODE_PATH=DEBIAN))
        if asked.returncode == 0:
            return DEBIAN
        if shutil.which("npm") is None:
            self.skipTest(f"{module} is not installed, and npm is not there to fetch it")
        folder, words = fetch(module)
        if folder is None:
            self.skipTest(f"npm could not fetch {WANTED[module]}: {words}")
        return folder

    def work(self, program, module, *words, names_statements=False, pins=("LISTEN",)):
        path = self.modules(module)
        with World(self.server) as world:
            world.add("prod", pool=workload.pool())
            self.watch(world.start())
            workload.run(self, world, ["node", program, *words], names_statements, pins, NODE_PATH=path)

    def test_node_postgres_works_over_a_pool_of_its_own(self):
        self.work("node_postgres.js", "pg", names_statements=True)

    def test_postgres_js_works_over_a_pool_of_its_own(self):
        self.work("postgres_js.js", "postgres", names_statements=True)

    def test_postgres_js_that_names_no_statement_pins_only_for_LISTEN(self):
        self.work("postgres_js.js", "postgres", "unnamed")


if __name__ == "__main__":
    story.main()
