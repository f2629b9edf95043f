"""Fuzz: config.env. Refused with whole errors, or accepted and then the jobs are those that it asks for."""

from tests.fuzz import SEED, chunks, rng
from tests.fuzz.configs import config, read, requests
from tests.fuzz.outcome import canary, check_outcome, outside
from tests.replay.site import Site


@chunks()
def test_config_env(site: Site, numbers: range) -> None:
    before = outside(site)
    for number in numbers:
        data = config(rng("config", number), canary(site))
        (site.project / "config.env").write_bytes(data)
        about = f"seed {SEED}, config {number}:\n{data!r}"
        site.forget()
        result = site.run("bash setup_and_train.sbatch check")
        check_outcome(result, site, before, about)
        if result.status == 0:
            asked = [set(call.split()) - {"sbatch", "--test-only"} for call in result.calls if "--test-only" in call]
            options = [{word for word in words if word.startswith("-")} for words in asked]
            assert options == list(requests(read(data))), about
