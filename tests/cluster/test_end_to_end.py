"""What a collaborator does, from the README to the weights."""

import pytest
from safetensors import safe_open

from diffueraser_docs.facts import facts
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.conftest import Finished
from tests.cluster.project import Project


def assert_weights(project: Project, version: str) -> None:
    """Both stages are converted, whole, and say what they are."""
    for stage in (1, 2):
        folder = project.root(version) / "converted_weights" / f"finetuned-stage{stage}"
        for part in ("unet_main", "brushnet"):
            assert (folder / part / "config.json").is_file()
            with safe_open(folder / part / "diffusion_pytorch_model.safetensors", "np") as tensors:
                assert list(tensors.keys()), f"{folder / part} holds no tensors"
        record = project.record(version, stage)
        assert (record["stage"], record["step"], record["version"]) == (stage, 12, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_two_edits_and_one_command(finished: Finished, version: str) -> None:
    project = finished[version].project
    assert [step.problem() for step in finished[version].steps if step.problem()] == [], project.log("diffueraser-*")
    assert_weights(project, version)
    for repository in facts().hub.repositories:
        assert any((project.folder / "DiffuEraser_downloads" / repository.name).iterdir()), f"{repository.name} is not down"
    assert (project.folder / "config.env").stat().st_mode & 0o777 == 0o600
    left = [p for p in project.root(version).rglob("*") if p.suffix in (".py", ".sh") and b"/home/hj/" in p.read_bytes()]
    assert not left, f"not rewritten: {left}"

    # Submitting again, by whatever form, submits nothing and moves no byte.
    project.hub.reset()
    jobs, weights = project.lab.jobs(), project.weights(version)
    again = project.bash("setup_and_train.sbatch")
    assert again.returncode == 0, again.stderr
    assert project.lab.jobs() == jobs
    for script in ("01_setup.sbatch", "02_train.sbatch"):
        assert project.run(script) == "COMPLETED", project.log()
    assert project.hub.payload() == {}
    assert project.weights(version) == weights
    assert len(list((project.folder / "logs").glob("trainer-*"))) == 2, "a trainer was started again"
