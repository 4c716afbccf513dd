"""edgectl as tests run it."""
import json
import subprocess

from ec.client import TIMEOUT_S
from ec.cluster import BUILD, SANITIZER, Process, clean_environment

OK, FAILED, USAGE, NOBODY, UNVERIFIED, UNAUTHORIZED, NO_LIST = range(7)


class Edgectl:
    """The program, with a home of its own."""

    def __init__(self, broker_url, folder, **env):
        self.folder = folder
        self.env = {"EDGECTL_HOME": str(folder / "home"), "MQTT_BROKER": broker_url, **env}

    def start(self, *arguments):
        return Process([BUILD / "edgectl", *arguments], self.folder, self.env)

    def run(self, *arguments, expect=OK, stdin=None):
        done = subprocess.run(
            [str(a) for a in (BUILD / "edgectl", *arguments)],
            cwd=self.folder,
            env={**clean_environment(), **self.env},
            capture_output=True,
            input=stdin,
            timeout=3 * TIMEOUT_S,
        )
        done.stderr = done.stderr.decode()
        assert not SANITIZER.search(done.stderr), done.stderr
        assert done.returncode == expect, (arguments, done.returncode, done.stdout[-500:], done.stderr)
        assert "\r" not in done.stderr, "a progress bar where there is no terminal"
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout)
