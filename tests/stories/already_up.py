"""PGBROKER_TEST_SERVER: the same stories against a server that was up before they came, and stays when they go."""
import os
import pathlib
import re
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import broker
import place
import process
import story

STORIES = place.ROOT / "tests" / "stories"
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
# Of each kind some: who may come in, sharing, resets, roles made on the server, and a password that is changed.
SUBSET = ("access.py", "pools.py", "isolation.py", "roles.py")


class AlreadyUp(story.Story):
    """A cluster is started here, and a child process is told its address and nothing else."""

    timeout = 800

    def setUp(self):
        self.server.need_own()

    def uri(self):
        return (f"postgresql://{self.server.superuser}:{urllib.parse.quote(self.server.superuser_password)}"
                f"@localhost:{self.server.port}/postgres?sslmode=verify-full&sslrootcert={self.server.root_cert}")

    def child(self, *words):
        """(passed, failed, skipped) and the output of stories told against this server."""
        done = process.run([sys.executable, "-B", *words, "--bin", broker.binaries()], check=False, timeout=self.timeout, cwd="/",
                           env={**os.environ, "PGBROKER_TEST_SERVER": self.uri()})
        closing = CLOSING.findall(done.stdout)
        self.assertTrue(closing, done.stdout[-2000:] + done.stderr[-2000:])
        return tuple(map(int, closing[-1])), done.stdout

    def objects(self):
        """What a test could leave behind."""
        return self.server.sql("SELECT 'database', datname FROM pg_database UNION ALL SELECT 'role', rolname FROM pg_roles "
                               "UNION ALL SELECT 'setting', name FROM pg_settings WHERE source = 'configuration file' "
                               "ORDER BY 1, 2")

    def test_a_part_of_the_suite_passes_there_and_leaves_nothing_behind(self):
        before, began = self.objects(), self.server.sql("SELECT pg_postmaster_start_time()")
        (passed, failed, skipped), output = self.child(STORIES / "run", *(STORIES / name for name in SUBSET))
        self.assertEqual(failed, 0, output[-6000:])
        self.assertGreater(passed, 10 * skipped, output)
        self.assertEqual(self.objects(), before)
        self.assertEqual(self.server.sql("SELECT pg_postmaster_start_time()"), began)

    def test_a_rotation_is_bridged_there(self):
        (passed, failed, _), output = self.child(STORIES / "gap.py", "-k", "by itself long after")
        self.assertEqual(failed, 0, output[-6000:])
        self.assertGreater(passed, 0, output)

    def test_what_needs_a_server_of_its_own_is_skipped_and_says_why(self):
        (passed, failed, skipped), output = self.child(STORIES / "pools.py", "-k", "a restart of the server")
        self.assertEqual((passed, failed, skipped), (0, 0, 1), output[-4000:])
        self.assertIn("needs a server of its own (PGBROKER_TEST_SERVER is set)", output)


if __name__ == "__main__":
    story.main()
