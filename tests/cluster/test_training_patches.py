"""The patches that make training faster, in the code that setup has patched, with real torch."""

import re
import textwrap
from collections.abc import Callable

import pytest

from tests.cluster.project import Project
from tests.cluster.training import (
    INTERVAL,
    Env,
    KeptRun,
    log,
    project,
    starts,
    train,
    trainer_log,
    undisturbed,
)

__all__ = ["project", "undisturbed"]
Undisturbed = Callable[..., KeptRun]
VALIDATION = "50/50 ["
# One optimizer for ten steps, saved and loaded in between, with the patch's lines before and after or not.
RESUME = """
import torch
from types import SimpleNamespace

accelerator, args = SimpleNamespace(device=torch.device("cpu")), SimpleNamespace(use_8bit_adam=False)
lines = open("lines.py").read()


def start():
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 8)
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


def train(model, optimizer, steps):
    for step in steps:
        model(torch.ones(2, 8) * step).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def resumed(before, after):
    model, optimizer = start()
    if before:
        exec(lines, {**globals(), "optimizer": optimizer})
    train(model, optimizer, range(5))
    saved, state = model.state_dict(), optimizer.state_dict()
    model, optimizer = start()
    model.load_state_dict(saved)
    optimizer.load_state_dict(state)
    if after:
        exec(lines, {**globals(), "optimizer": optimizer})
    train(model, optimizer, range(5, 10))
    assert {state["step"].item() for state in optimizer.state.values()} == {10.0}
    assert bool(optimizer.param_groups[0]["fused"]) == (before or after)
    return model.weight


plain = resumed(False, False)
for before, after in ((False, True), (True, False), (True, True)):
    torch.testing.assert_close(resumed(before, after), plain)
    print(before, after, "agree")
"""


@pytest.mark.parametrize("stage", [1, 2])
def test_patches_resumed_optimizer(project: Project, stage: int) -> None:
    """A checkpoint made without fused AdamW resumes with it and the other way round, with the same weights."""
    code = (project.root("non-prompt") / f"train_DiffuEraser_stage{stage}.py").read_text()
    lines = re.search(r"\n( +if accelerator\.device\.type == .*?)\n +progress_bar = tqdm\(", code, re.DOTALL)
    assert lines, "the patch fused-adamw is not applied"
    assert code.index("load_state(") < lines.start() < code.index("optimizer.step()"), "a loaded state has options of its own"
    (project.folder / "resume.py").write_text(RESUME)
    block = textwrap.dedent(lines[1]).replace('accelerator.device.type == "cuda"', "True")  # torch has it for CPUs too
    (project.folder / "lines.py").write_text(block)
    result = project.lab.run([str(project.environment / "bin" / "python"), "resume.py"], project.folder)
    assert result.stdout.count("agree") == 3, result.stdout + result.stderr


def test_patches_validation_and_compilation_after_a_resume(project: Project, undisturbed: Undisturbed) -> None:
    """A resumed stage validates at its first step if asked to; what is compiled is compiled for the training's shape alone."""
    whole = undisturbed()
    whole.restore(project, "finetune-stage1")
    assert train(project, STAGE="1", STAGE1_MAX_TRAIN_STEPS=str(12 + INTERVAL)) == "COMPLETED", log(project)
    assert VALIDATION not in trainer_log(project)
    assert "compiled for" not in trainer_log(project)
    more: Env = {"VALIDATE_AT_START": "yes", "COMPILE_VAE": "yes", "STAGE1_NFRAMES": "7"}
    assert train(project, STAGE="1", STAGE1_MAX_TRAIN_STEPS="20", **more) == "COMPLETED", log(project)
    assert VALIDATION in trainer_log(project)
    assert set(re.findall(r"compiled for (.*)", trainer_log(project))) == {"(7, 3, 512, 512)"}
    assert starts(project) == [12, 17]
