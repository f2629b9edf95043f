"""The finder of the page Troubleshooting: a pasted line leads to the entry that explains it, as the first hit."""

import re

import pytest
from playwright.sync_api import Page

from diffueraser_docs.facts import facts
from diffueraser_docs.render import ROOT
from tests.browser import LANGUAGES, address
from tests.browser.conftest import Watched, search

# What people paste, and the entry that explains it.
COMMON = {
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified": "slurm-account",
    "sbatch: error: invalid partition specified: gpus": "slurm-partition",
    "sbatch: error: Batch job submission failed: Requested node configuration is not available": "slurm-nodes",
    "sbatch: error: Batch job submission failed: Invalid qos specification": "slurm-qos",
    "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)": "slurm-time",
    "sbatch: error: Invalid generic resource (gres) specification": "slurm-gres",
    "bash: sbatch: command not found": "slurm-not-found",
    "sbatch: error: Unable to open file setup_and_train.sbatch": "slurm-open-file",
    "  4711 gpu diffuera me PD 0:00 1 (DependencyNeverSatisfied)": "pending-never",
    "  4711 gpu diffuera me PD 0:00 1 (ReqNodeNotAvail, UnavailableNodes:n[1-4])": "pending-nodes",
    "  4711 gpu diffuera me PD 0:00 1 (QOSMaxGRESPerUser)": "pending-qos",
    "  4711 gpu diffuera me PD 0:00 1 (AssocGrpGRES)": "pending-association",
    "  4711 gpu diffuera me PD 0:00 1 (Resources)": "pending-resources",
    "  4711 gpu diffuera me PD 0:00 1 (launch failed requeued held)": "pending-held",
    "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=4711.batch.": "ended-memory",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-03-01T10:00:00 DUE TO TIME LIMIT ***": "ended-time",
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.": "gpu-memory",
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled system error": "nccl-error",
    "RuntimeError: No CUDA GPUs are available": "torch-no-gpu",
    "RuntimeError: CUDA error: no kernel image is available for execution on the device": "torch-kernel",
    "ModuleNotFoundError: No module named 'bitsandbytes'": "trainer-bitsandbytes",
    "ValueError: xformers is not available. Make sure it is installed correctly": "trainer-xformers",
    "2026-03-01 10:00:00  ERROR[checkpoint-incomplete] checkpoint-2000 is not complete. Fix: x": "checkpoint-incomplete",
    "OSError: [Errno 122] Disk quota exceeded: '/p/x'": "disk-quota",
    "tar: x: Cannot write: No space left on device": "disk-full",
    "ERROR: No matching distribution found for torch==2.3.1": "pip-version",
    "curl: (6) Could not resolve host: huggingface.co": "network-name",
    "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co/api/x": "hub-token-rejected",
}
# Lines of public reports, and where they are from.
REPORTED = {
    "sbatch: unrecognized option '--gpus-per-node=8'": "slurm-option",  # facebookresearch/mae#119
    "sbatch: error: Parameter --gres=gpu:1 no longer acceptable, please switch to --gpus=1": "slurm-gres",  # submitit#1710
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation": "slurm-controller",  # submitit#1659
    "sbatch: error: You must always specify a type when requesting gpu GRES": "slurm-gres",  # facebookresearch/LaViLa#42
    "sbatch: fatal: Could not establish a configuration source": "slurm-config",  # one_policy_to_run_them_all#5
    "sbatch: error: Batch job submission failed: Unspecified error": "slurm-rule",  # mlr-org/batchtools#232
    "sbatch: error: Batch job submission failed: More processors requested than permitted": "slurm-node-count",  # ELI5#18
    "srun: error: Unable to create step for job 2: Invalid generic resource (gres) specification": "slurm-gres",  # submitit#1726
    "slurmstepd: error: execve(): /tmp/slurmd/job29/slurm_script: No such file or directory": "ended-folder",  # ArjunaUsers#21
    "(MaxGRESPerAccount)": "pending-qos",  # Slurm's list of job reason codes
    "(PartitionNodeLimit)": "pending-partition-limit",  # VSC wiki, job reason codes
    "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=128, OpType=BROADCAST)": "nccl-timeout",  # peft#220
    "[E ProcessGroupNCCL.cpp:325] Some NCCL operations have failed or timed out.": "nccl-timeout",  # accelerate#157
    "init.cc:795 NCCL WARN Duplicate GPU detected : rank 6 and rank 4 both on CUDA": "nccl-duplicate",  # accelerate#2246
    "Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized": "torch-fabric",  # huggingface_hub#4134
    "HfHubHTTPError: 504 Server Error: Gateway Time-out for url: https://hub.example/x": "hub-server",  # faster-whisper#212
    "LocalEntryNotFoundError: An error happened while trying to locate the files on the Hub": "hub-unreachable",  # ComfyUI#6430
    "RuntimeError: Data processing error: CAS service error : Request failed after 5 retries": "hub-storage",  # xet-core#407
    "  Caused by: invalid peer certificate: UnknownIssuer": "certificate",  # astral-sh/uv#6072
    "error sending request for url (https://pypi.example.org/packages/x.whl)": "network-connect",  # intervals-mcp-server#23
    "  Caused by: operation timed out": "network-broken",  # astral-sh/uv#12307
    "error: metadata-generation-failed": "pip-build",  # microsoft/qlib#1859
    "libnccl-net.so: cannot open shared object file: No such file or directory": "library-symbol",  # pytorch-lightning#20434
}
# And what else Slurm, the trainer and tools print.
OTHERS = {
    "ERROR[config-value] config.env line 7: NUM_GPUS=65: must be a whole number from 1 to 64. Fix: x": "config-value",
    "sbatch: error: Batch job submission failed: Node count specification invalid": "slurm-node-count",
    "sbatch: error: Batch job submission failed: Invalid feature specification": "slurm-feature",
    "sbatch: error: Batch job submission failed: Requested reservation is invalid": "slurm-reservation",
    "sbatch: error: Batch job submission failed: Job dependency problem": "slurm-dependency",
    "sbatch: error: Memory specification can not be satisfied": "slurm-memory",
    "sbatch: error: Batch script contains DOS line breaks (\\r\\n)": "slurm-crlf",
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)": "slurm-controller",
    "diffueraser-train: job 4, pending, waits for free nodes": "pending-resources",
    "diffueraser-train: job 4, pending, a limit of the account or QOS is reached (AssocGrpBillingMinutes)": "pending-association",
    "diffueraser-train: job 4, pending, a limit of the account or QOS is reached (QOSMaxJobsPerUserLimit)": "pending-qos",
    "  4711 gpu diffuera me PD 0:00 1 (Priority)": "pending-priority",
    "  4711 gpu diffuera me PD 0:00 1 (PartitionTimeLimit)": "pending-partition-limit",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-03-01T10:00:00 DUE TO PREEMPTION ***": "ended-preempted",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-03-01T10:00:00 ***": "ended-cancelled",
    "slurmstepd: error: couldn't chdir to `/home/me/x': No such file or directory: going to /tmp instead": "ended-folder",
    "srun: error: n1: task 0: Exited with exit code 1": "ended-exit-code",
    "RuntimeError: CUDA error: uncorrectable ECC error encountered": "torch-hardware",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:": "torch-child-failed",
    "RuntimeError: DataLoader worker (pid 12) is killed by signal: Bus error. Out of insufficient shared memory": "shared-memory",
    "train_DiffuEraser_stage1.py: error: unrecognized arguments: --nframe 3": "trainer-argument",
    "mkdir: cannot create directory '/p': Permission denied": "disk-permission",
    "curl: (60) SSL certificate problem: unable to get local issuer certificate": "certificate",
    "curl: (56) Recv failure: Connection reset by peer": "network-broken",
    "error: externally-managed-environment": "pip-managed",
    "CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://conda.anaconda.org/x>": "conda-http",
    "PackagesNotFoundError: The following packages are not available from current channels:": "conda-solve",
    "ImportError: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found": "library-symbol",
}
# Several lines: the reason comes before what only repeats that something ended.
SEVERAL = {
    "Traceback (most recent call last):\ntorch.cuda.OutOfMemoryError: CUDA out of memory.\n"
    "subprocess.CalledProcessError: Command returned status 1.\nsrun: error: n1: task 0: Exited with exit code 1": "gpu-memory",
    "x.py:3: FutureWarning: `resume_download` is deprecated\nOSError: [Errno 122] Disk quota exceeded": "disk-quota",
    "ERROR[training-stopped] Stage 1 stopped at step 20: CUDA out of memory. Fix: x": "training-stopped",
    "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS "
    "policy (job submit limit, user's size and/or time limits)": "slurm-policy",
}  # fmt: skip


def hits(page: Page, text: str) -> list[str]:
    """The ids of the entries that are found, best first."""
    page.locator("#message-text").fill(text)
    shown: list[str] = page.locator(".message:not([hidden])").evaluate_all("entries => entries.map(e => e.dataset.id)")
    return shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_finder_finds_the_entry_first(desktop: Watched, language: str) -> None:
    assert len(COMMON) == 28
    assert len(REPORTED) >= 20
    page = desktop.open(address("troubleshooting", language))
    everything = page.locator(".message:visible").count()
    lines = {**COMMON, **REPORTED, **OTHERS}
    found = {line: hits(page, line) for line in lines}
    assert {line: ids for line, ids in found.items() if ids != [lines[line]]} == {}
    page.locator("#message-text").fill("")
    assert page.locator(".message:visible").count() == everything
    assert page.locator("#message-count").is_hidden()


def test_finder_puts_the_reason_first(desktop: Watched) -> None:
    page = desktop.open(address("troubleshooting", "en"))
    for text, reason in SEVERAL.items():
        found = hits(page, text)
        assert found[0] == reason
        assert len(found) > 1
        assert (page.locator("#message-count").text_content() or "").startswith(f"{len(found)} ")
        assert page.evaluate("document.activeElement.id") == "message-text", "one can go on typing"


def headings(page: Page, selector: str) -> list[str]:
    """The texts of headings, without the sign of their permanent links."""
    return [text.rstrip("¶") for text in page.locator(selector).all_inner_texts()]


def test_finder_leads_to_the_entry_of_an_id(desktop: Watched) -> None:
    page = desktop.open(address("troubleshooting", "en"))
    page.locator("#message-text").fill("ERROR[disk-full] x: tar: No space left on device. Fix: Free some space.")
    assert headings(page, ".message:visible h3") == ["The disk is full"]
    assert headings(page, ".md-content h2:visible") == ["Still stuck"], "groups are hidden"
    assert page.url.endswith("#disk-full"), "the address can be sent to somebody"
    assert "The quota is used up" not in page.locator(".md-nav--secondary .md-nav__link:visible").all_inner_texts()
    page.locator("#message-text").fill("")
    assert len(headings(page, ".md-content h2:visible")) == len(facts().messages.groups) + 1
    ids = page.locator(".message").evaluate_all("entries => entries.map(e => e.dataset.id)")
    grouped = [m.id for group in facts().messages.groups for m in facts().messages.messages if m.group == group.name]
    assert ids == grouped, "all are back in their order"


@pytest.mark.parametrize("language", LANGUAGES)
def test_finder_says_when_it_finds_nothing(desktop: Watched, language: str) -> None:
    page = desktop.open(address("troubleshooting", language))
    for line in ("INFO:accelerate:everything is as it should be", "it is not what it was", "the file is not whole", "xyzzy"):
        page.locator("#message-text").fill(line)
        assert page.locator(".message:visible").count() == 0
        assert page.locator("#message-none").is_visible()
    page.locator("#message-none a").click()
    assert page.url.endswith("#still-stuck")


def test_every_note_of_the_scripts_has_an_entry(desktop: Watched) -> None:
    page = desktop.open(address("troubleshooting", "en"))
    expansions = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+|\$\d")
    for script in (ROOT / "scripts").glob("*.s*"):
        for text in re.findall(r'\bnote "((?:[^"\\]|\\.|"\$STATE/sbatch.log")*)"', script.read_text()):
            assert hits(page, f"2026-03-01 10:00:00  NOTE  {expansions.sub('x', text)}"), f"{script.name}: {text}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_entries_have_permanent_links(desktop: Watched, language: str) -> None:
    page = desktop.open(address("troubleshooting", language) + "#hub-token-rejected")
    heading = page.locator("[id='hub-token-rejected']")
    assert heading.is_visible()
    assert heading.locator(".headerlink").get_attribute("href") == "#hub-token-rejected"
    anchors = set(page.locator(".message h3").evaluate_all("headings => headings.map(h => h.id)"))
    assert anchors == {message.id for message in facts().messages.messages}


SEARCHES = {
    "en": ("disk quota exceeded", "oom-kill", "account partition combination"),
    "zh": ("证书", "抢占", "配额", "令牌", "显存不足", "断点续训"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_search_of_the_site_shows_troubleshooting_first(desktop: Watched, language: str) -> None:
    for words in SEARCHES[language]:
        assert address("troubleshooting", language) in search(desktop, language, words)[0], words
