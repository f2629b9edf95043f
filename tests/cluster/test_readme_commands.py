"""The commands of a README are typed in order, and do what it says; test_page_commands.py types those of the site."""

import pytest

from diffueraser_docs.facts import facts
from diffueraser_docs.render import READMES
from diffueraser_docs.schema.base import VERSIONS
from tests.cluster.conftest import Finished
from tests.cluster.pages import block_commands, page_texts
from tests.cluster.walk import NOT_TYPED

TEXTS = page_texts()
LOAD_BACK = """
import sys
from accelerate.commands.config.config_args import load_config_from_file
c = load_config_from_file(sys.argv[1])
print(c.distributed_type.value, c.num_processes, c.num_machines, c.machine_rank, c.mixed_precision, c.use_cpu)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_readme_walked_from_top_to_bottom_ends_with_the_weights(finished: Finished, version: str) -> None:
    steps = finished[version].steps
    readme = READMES[finished[version].readme]
    typed = [step.command.text for step in steps]
    assert typed == [c.text for c in block_commands(TEXTS[readme], readme) if c.text not in NOT_TYPED]
    assert [step.problem() for step in steps if step.problem()] == []
    submitted = [step for step in steps if "sbatch setup_and_train.sbatch" in step.command.text]
    assert submitted, f"{readme} submits nothing"
    assert len(submitted[0].jobs) >= 3, "setup, training and DPO-dataset"
    assert finished[version].project.record(version, 2)["step"] == 12


@pytest.mark.parametrize("version", VERSIONS)
def test_every_prefix_of_upstream_is_replaced_and_none_is_left(finished: Finished, version: str) -> None:
    project = finished[version].project
    code = [p for p in project.root(version).rglob("*") if p.suffix in (".py", ".sh", ".sbatch", ".yml") and p.is_file()]
    now = "\n".join(path.read_text(encoding="utf-8") for path in code)
    for rewrite in facts().project.rewrites:
        prefix = rewrite.prefix.replace("[h]", "h")
        assert prefix not in now, f"{prefix} is left"
        target = rewrite.target.replace("$PROJECT_HOME", str(project.folder))
        if rewrite.target != facts().project.rewrites[-1].target and (version == "prompt" or "prompt" not in target):
            assert f"{target}/" in now or f'{target}"' in now, f"nothing became {target}: did the case lose its prefix {prefix}?"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_real_accelerate_loads_the_configuration_back(finished: Finished, version: str) -> None:
    project = finished[version].project
    python = project.environment / "bin" / "python"
    file = project.root(version) / "accelerate_config.yaml"
    result = project.lab.run([str(python), "-c", LOAD_BACK, str(file)], project.folder, project.env)
    assert result.returncode == 0, result.stderr
    precision = {"non-prompt": "fp16", "prompt": "bf16"}[version]
    assert result.stdout.split() == ["MULTI_GPU", "2", "1", "0", precision, "False"]
