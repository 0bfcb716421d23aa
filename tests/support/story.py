"""How stories are told: unittest underneath, one line a story, one closing line a file.

A story is a method `test_...` of a Story; its name is the sentence. It ends in its `timeout` or fails,
and when it fails, the end of every broker's log it had is shown.
"""
import argparse
import faulthandler
import os
import signal
import sys
import time
import traceback
import unittest

import broker
import cluster
import process

LONG = os.environ.get("PGBROKER_LONG") == "1"

_shared = {}


def shared_server():
    """One server for all stories of a file, started when first asked for."""
    if "server" not in _shared:
        _shared["server"] = cluster.start_cluster()
    return _shared["server"]


class Story(unittest.TestCase):
    """Base of all stories."""

    timeout = 270.0 if LONG else 180.0      # enough on a machine that does much else

    def run(self, result=None):
        def too_long(_signum, _frame):
            faulthandler.dump_traceback(all_threads=True)
            raise TimeoutError(f"the story took longer than {self.timeout:g} s")
        self.brokers = []
        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, self.timeout)
        try:
            return super().run(result)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @property
    def server(self):
        return shared_server()

    def watch(self, subject):
        """Shows this broker's log if the story fails, and makes sure that it has ended."""
        self.brokers.append(subject)
        self.addCleanup(subject.kill)
        return subject

    def need_root(self):
        if not process.is_root():
            self.skipTest("other uids can only be had by root")

    def until(self, condition, what, timeout=60.0):
        return process.wait_until(condition, what, timeout)

    def let_in(self, daemon, *words, **options):
        """A connection, as soon as there is a place for one more client."""
        def connected():
            try:
                return daemon.connect(*words, **options)
            except broker.protocol.ServerError as error:
                self.assertEqual(error.sqlstate, "53300", str(error))
                return None
        return self.until(connected, "a place for a client")

    def refused(self, sqlstate, call, *words, **options):
        """The ServerError the call raises, which must bear this SQLSTATE."""
        with self.assertRaises(broker.protocol.ServerError) as caught:
            call(*words, **options)
        self.assertEqual(caught.exception.sqlstate, sqlstate, str(caught.exception))
        return caught.exception


class _Lines(unittest.TestResult):
    """Prints a line for each story as it ends."""

    def __init__(self, name):
        super().__init__()
        self.file, self.passed, self.not_passed, self.skips = name, 0, 0, 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def _line(self, word, test, more=""):
        title = str(getattr(test, "_testMethodName", test)).removeprefix("test_").replace("_", " ")
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"{word:5} {self.file}: {title}{more} ({seconds:.1f} s)", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self._line("ok", test)

    def addSkip(self, test, reason):
        self.skips += 1
        self._line("skip", test, f": {reason}")

    def addFailure(self, test, err):
        self.not_passed += 1
        self._line("FAIL", test)
        print("".join(traceback.format_exception(*err)), flush=True)
        for subject in getattr(test, "brokers", ()):
            print(f"---- the broker's log ends with\n{subject.tail()}\n----", flush=True)

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            print(f"in {subtest.params}:", flush=True)
            self.addFailure(test, err)


def main():
    """Tells the stories of the calling file; `-k WORDS` only those whose name holds the words."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", help="directory of the programs to test")
    arguments.add_argument("-k", default="", help="only stories whose name holds this")
    options = arguments.parse_args()
    if options.bin:
        os.environ["PGBROKER_BIN"] = os.path.abspath(options.bin)
    process.end_cleanly_on_signals()
    module = sys.modules["__main__"]
    name = os.path.splitext(os.path.basename(module.__file__))[0]
    suite = unittest.TestSuite(_chosen(unittest.defaultTestLoader.loadTestsFromModule(module), options.k))
    result = _Lines(name)
    try:
        suite.run(result)
    finally:
        if "server" in _shared:
            _shared["server"].stop()
    print(f"{result.passed} passed, {result.not_passed} failed, {result.skips} skipped", flush=True)
    sys.exit(1 if result.not_passed else 0)


def _chosen(suite, words):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _chosen(test, words)
        elif words.replace(" ", "_") in test.id():
            yield test
