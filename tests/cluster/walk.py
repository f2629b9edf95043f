"""A page, walked through: every command typed in order, each with its jobs followed to their end."""

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from diffueraser_docs.facts import facts
from diffueraser_docs.markdown import code_blocks
from diffueraser_docs.render import READMES, ROOT, SCRIPTS
from tests.cluster.pages import Command, Shell
from tests.cluster.project import Project

# The pages show this folder; a collaborator replaces it by the own one.
SHOWN = str(next(v.shown for v in facts().configuration.variables if v.name == "PROJECT_HOME"))
# What no test can type, and what is done in its place. tests/cluster/test_page_commands.py counts them.
NOT_TYPED = {
    "nano config.env": "an editor waits for a person: the test makes the two edits",
    "make docs": "it is what builds the pages that this test reads: CI runs it before this test",
    "make test": "it is what runs this test",
    "make bench": "it takes ten minutes and measures nothing beside other work: tests/unit checks what it computes",
    "make reliability": "it runs this test among others",
    "make matrix": "it builds four releases of Slurm: a test of its own",
    "make kills": "it is a test of its own, run here with fewer kills",
    "HF_TOKEN=hf_… .venv/bin/python -m diffueraser_docs verify-hub --update": "it asks the real Hub; unit tests ask the stand-in",
}


def weights_to_upload(project: Project) -> None:
    """What the upload looks for: a repository's name, and weights with their record."""
    project.edit(UPLOAD_REPO="collaborator/weights")
    folder = project.root("non-prompt") / "converted_weights" / "finetuned-stage2"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.json").write_text('{"step": 1}')


def jobs_to_cancel(project: Project) -> None:
    """What cancel looks for: jobs, of which training waits for a setup that does not come to its end."""
    project.bash("setup_and_train.sbatch", HF_ENDPOINT="http://127.0.0.1:9")


# What trains with other settings than config.env, or is for a run under way, begins with nothing and leaves nothing.
APART = r"(STAGE\w*|NUM_GPUS)=|setup_and_train\.sbatch cancel$"
# What a command finds when a person types it where the page says so.
Before = Callable[[Project], object]
BEFORE: list[tuple[str, Before]] = [
    (r"setup_and_train\.sbatch cancel$", jobs_to_cancel),
    (r"01_setup\.sbatch upload$", weights_to_upload),
]


@dataclass
class Step:
    """What became of one command."""

    command: Command
    status: int
    printed: str
    jobs: dict[int, str] = field(default_factory=dict)

    def problem(self) -> str:
        """Why this command did not do what its page says; empty when it did."""
        good = {"CANCELLED", "FAILED", "COMPLETED"} if self.command.text.endswith(" cancel") else {"COMPLETED"}
        if self.status:
            return f"{self.command} ended with status {self.status}: {self.printed}"
        bad = {job: state for job, state in self.jobs.items() if state not in good}
        return f"{self.command}: jobs ended as {bad}" if bad else ""


def copy_from_readme(project: Project, readme: str) -> None:
    """The files out of a README's code blocks, as a person with a mouse copies them."""
    blocks = {block.text for block in code_blocks((ROOT / READMES[readme]).read_text(), READMES[readme])}
    for name in SCRIPTS:
        text = (ROOT / "scripts" / name).read_text(encoding="utf-8")
        assert text in blocks, f"{name} is not in {READMES[readme]} byte for byte"
        (project.folder / name).write_text(text)


def walk(project: Project, commands: Sequence[Command], version: str, readme: str) -> list[Step]:
    """Type the commands in one shell: a start block in a copy of the repository, others in the project's folder."""
    steps = []
    start = ROOT if commands[0].text.startswith("export PROJECT_HOME=") else project.folder
    with Shell(project, start, PROJECT_HOME=str(project.folder)) as shell:
        for command in commands:
            if project.folder.is_dir() and not (project.folder / "config.env").exists():
                copy_from_readme(project, readme)
            if command.text in NOT_TYPED:
                if command.text == "nano config.env":
                    project.two_edits(version)
                continue
            with project.training_put_aside() if re.search(APART, command.text) else nullcontext():
                steps.append(typed(project, shell, command))
    return steps


def typed(project: Project, shell: Shell, command: Command) -> Step:
    """Type one command, and follow its jobs to their end."""
    for pattern, before in BEFORE:
        if re.search(pattern, command.text):
            before(project)
    known = set(project.lab.jobs())
    status, printed = shell.type(command.text.replace(SHOWN, str(project.folder)))
    states = project.lab.wait_all(500)
    return Step(command, status, printed, {job: state for job, state in states.items() if job not in known})
