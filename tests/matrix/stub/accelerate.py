"""Stand-in for accelerate: `accelerate launch …` starts one process on the first node."""

import os
import sys


def main():
    arguments = sys.argv[1:]
    script = next(number for number, word in enumerate(arguments) if word.endswith(".py"))
    if arguments[arguments.index("--machine_rank") + 1] == "0":
        os.execv(sys.executable, [sys.executable, *arguments[script:]])
