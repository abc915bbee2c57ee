"""A broker of its own for each test: in memory, on a free port, gone with the test."""

import json
import os
import subprocess

import pytest


@pytest.fixture
def ottla():
    command = [os.environ.get("OTTLA_BIN", "ottla"), "serve", "--in-memory"]
    command += ["--listen", "127.0.0.1:0", "--ready-json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        ready = json.loads(broker.stdout.readline())
        yield ready["listeners"][0]["address"]
        broker.terminate()
