"""Command line: render | check | verify-hub."""

import argparse
import os
import sys
import traceback
from pathlib import Path

from jinja2 import TemplateError, TemplateSyntaxError
from rich.console import Console

from .check import check_all
from .facts import FactError, facts
from .render import EditedError, render_all, write
from .verify_hub import record, results_table, verify_hub


def _render(arguments: argparse.Namespace) -> int:
    changed = write(render_all(), force=arguments.force)
    for path in changed:
        print(f"written: {path}")
    if not changed:
        print("nothing to write: scripts and READMEs are as the facts say")
    return 0


def _check(_: argparse.Namespace) -> int:
    problems = check_all()
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem(s)", file=sys.stderr)
        return 1
    print("scripts, READMEs and pages are in order")
    return 0


def _verify_hub(arguments: argparse.Namespace) -> int:
    results = verify_hub(os.environ.get("HF_TOKEN"), os.environ.get("HF_ENDPOINT"))
    console = Console()
    Console(width=None if console.is_terminal else 200).print(results_table(results))
    if arguments.update:
        record(results)
    states = {result.state for result in results}
    return 0 if states == {"verified"} else 3 if "differs" in states else 4


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all is well, 1 for problems found by check, 2 for wrong facts or usage or for a generated file that was edited
        by hand, 3 when the Hub differs from the facts, 4 when it could not be asked.
    """
    parser = argparse.ArgumentParser(prog="python -m diffueraser_docs", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="render | check | verify-hub")
    command = commands.add_parser("render", help="write scripts/ and the READMEs from facts and templates")
    command.add_argument("--force", action="store_true", help="overwrite generated files that were edited by hand")
    command.set_defaults(run=_render)
    command = commands.add_parser("check", help="say what is wrong, file and line; nothing is written")
    command.set_defaults(run=_check)
    command = commands.add_parser("verify-hub", help="compare the repositories on the Hub with the facts (HF_TOKEN, HF_ENDPOINT)")
    command.add_argument("--update", action="store_true", help="record what was verified in facts/hub.yaml")
    command.set_defaults(run=_verify_hub)
    arguments = parser.parse_args(argv)
    try:
        facts()
        return int(arguments.run(arguments))
    except TemplateSyntaxError as error:
        print(f"templates/{error.name}:{error.lineno}: {error.message}", file=sys.stderr)
    except TemplateError as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent.name == "templates"]
        place = f"/{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        print(f"templates{place}: {error.message}", file=sys.stderr)
    except (FactError, EditedError, OSError) as error:
        print(error, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
