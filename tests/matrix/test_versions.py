"""Each release is what it claims to be; the page Tested with names the versions of what it brings."""

from collections.abc import Callable

from tests.matrix.conftest import Site
from tests.matrix.roots import SUITES

COMMANDS = {
    "Debian": ". /etc/os-release; echo $VERSION_CODENAME",
    "Slurm": "sinfo --version | grep -oE '[0-9.]+' | head -n 1",
    "bash": "bash -c 'echo ${BASH_VERSION%%(*}'",
    "curl": "curl --version | grep -oE '[0-9.]+' | head -n 1",
    "coreutils": "sort --version | grep -oE '[0-9.]+' | head -n 1",
    "Python": "/usr/bin/python3 --version | grep -oE '[0-9.]+'",
}


def test_versions_are_those_of_the_release(site: Site, release: str, record_property: Callable[[str, object], None]) -> None:
    versions = {tool: site.lab.run(["bash", "-c", command], site.folder).stdout.strip() for tool, command in COMMANDS.items()}
    record_property("versions", {"release": release, **versions})
    assert versions["Slurm"].startswith(release)
    assert versions["Debian"] == SUITES[release]
    assert all(versions.values())
