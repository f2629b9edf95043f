"""Every page in both languages, light and dark: accessible, whole on a phone, without dead links, asking no other host."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest
from playwright.sync_api import Page

from diffueraser_docs.render import ROOT, SCRIPTS
from tests.browser import LANGUAGES, address, page_names
from tests.browser.conftest import Visit, Watched


@cache
def places(file: Path) -> set[str]:
    """The anchors of a built page."""
    return set(re.findall(r'\bid="([^"]+)"', file.read_text()))


each_page = pytest.mark.parametrize(("name", "language"), [(name, each) for name in page_names() for each in LANGUAGES])
Look = Callable[[str, str], Visit]


@each_page
def test_page_has_no_serious_accessibility_finding(visit: Look, name: str, language: str) -> None:
    assert visit(name, language).language == language
    assert visit(name, language).light == []
    assert visit(name, language).dark == [], "in dark colours"


@each_page
def test_page_reports_no_error_and_asks_no_other_host(visit: Look, name: str, language: str) -> None:
    assert visit(name, language).errors == []
    assert visit(name, language).elsewhere == []


@each_page
def test_every_link_leads_somewhere(visit: Look, origin: str, site_folder: Path, name: str, language: str) -> None:
    links = visit(name, language).links
    assert links
    for link in sorted(set(links)):
        if not link.startswith(origin):
            assert link.startswith("https://"), link
            continue
        path, fragment = urldefrag(link)
        file = site_folder / urlsplit(path).path.lstrip("/")
        file = file / "index.html" if file.is_dir() else file
        assert file.is_file(), f"{link} leads nowhere"
        if fragment and file.suffix == ".html":
            assert fragment in places(file), f"{link} has no such place"


@each_page
def test_the_language_switch_leads_to_the_same_page(visit: Look, origin: str, name: str, language: str) -> None:
    assert visit(name, language).switch == [origin + address(name, each) for each in LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_fit_a_phone(open_context: Callable[..., Watched], language: str) -> None:
    watched = open_context(width=390, height=844)
    for name in page_names():
        page = watched.open(address(name, language))
        wide = page.evaluate(
            """() => document.documentElement.scrollWidth > innerWidth
            ? [...document.querySelectorAll('.md-content *')].filter(e => e.getBoundingClientRect().right > innerWidth)
                .map(e => e.tagName + '.' + e.className).slice(0, 5) : []"""
        )
        assert wide == [], f"{name} is wider than the screen"
        small = page.evaluate(
            """() => [...document.querySelectorAll('.md-content :is(p, li, td, input, button)')]
            .filter(e => e.offsetParent && parseFloat(getComputedStyle(e).fontSize) < 11).length"""
        )
        assert small == 0, f"{name} has text that is too small to read"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_copied_and_downloaded_byte_for_byte(desktop: Watched, name: str, language: str) -> None:
    page = desktop.open(address("scripts", language))
    wanted = (ROOT / "scripts" / name).read_bytes()
    heading = page.locator(f"h2[id='{name.replace('.', '-')}']")
    block = heading.locator("xpath=following::div[contains(@class, 'highlight')][1]")
    heading.locator("xpath=following::summary[1]").click()
    block.locator("button[data-clipboard-target]").first.click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).length > 0")
    assert page.evaluate("navigator.clipboard.readText()").encode() == wanted
    assert block.locator(".linenos").count() > 0 or block.locator("[data-linenos]").count() > 0, "lines are numbered"
    with page.expect_download() as got:
        heading.locator("xpath=following::a[@download][1]").click()
    assert got.value.suggested_filename == name
    assert Path(got.value.path()).read_bytes() == wanted
    page.evaluate("navigator.clipboard.writeText('')")


def test_the_language_switch_works_by_mouse(desktop: Watched) -> None:
    page = desktop.open(address("configuration", "en"))
    for language, title in (("zh", "简体中文"), ("en", "English")):
        page.locator(".md-header .md-select button").hover()
        page.get_by_role("link", name=title).click()
        page.wait_for_url(desktop.origin + address("configuration", language))
        assert page.locator("html").get_attribute("lang") == language


def test_the_language_switch_keeps_the_place(desktop: Watched) -> None:
    page = desktop.open(address("index", "en") + "#cluster")
    page.locator(".md-header .md-select button").hover()
    page.get_by_role("link", name="简体中文").click()
    page.wait_for_url(desktop.origin + address("index", "zh") + "#cluster")


def test_a_page_that_is_not_there_leads_on_in_both_languages(desktop: Watched, site_folder: Path) -> None:
    page = desktop.open("/404.html")
    links = page.evaluate("() => [...document.links].map(a => [a.closest('[lang]').lang, new URL(a.href).pathname])")
    assert {language for language, _ in links} == set(LANGUAGES)
    for _, path in links:
        assert (site_folder / path.lstrip("/") / "index.html").is_file(), path


SEARCHES = [
    ("zh", "权重在哪里", "/zh/#weights"),
    ("zh", "显存不足", "/zh/training-parameters/#out-of-memory"),
    ("zh", "学习率", "/zh/training-parameters/#learning_rate"),
    ("en", "learning rate", "/training-parameters/#learning_rate"),
    ("en", "rejects the token", "/troubleshooting/#hub-token-rejected"),
    ("en", "DependencyNeverSatisfied", "/troubleshooting/#pending-never"),
    ("en", "nframes", "/training-parameters/#nframes"),
    ("zh", "断点续训", "/zh/how-it-works/#interruptions"),
    ("zh", "国内镜像", "/zh/#cluster"),
    ("en", "sinfo", "/#cluster"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "words", "place"), SEARCHES)
def test_search_finds_the_place(desktop: Watched, language: str, words: str, place: str) -> None:
    page = desktop.open(address("index", language))
    page.wait_for_load_state("networkidle")  # the index is there
    page.keyboard.press("/")  # the key that opens the search
    page.wait_for_function("document.activeElement.matches('.md-search__input')")
    page.keyboard.insert_text(words)
    page.keyboard.press("End")  # an input method ends with a key; the theme listens to keys
    page.wait_for_selector(".md-search-result__item a")
    page.wait_for_timeout(300)
    found: list[str] = page.evaluate("() => [...document.querySelectorAll('.md-search-result__item a')].map(a => a.href)")
    assert any(urlsplit(link).path + "#" + urlsplit(link).fragment == place for link in found), found[:12]
    assert all(urlsplit(link).path.startswith("/zh/") == (language == "zh") for link in found), "one language each"


def test_light_and_dark_can_be_chosen_and_are_remembered(desktop: Watched) -> None:
    page = desktop.open(address("index", "en"))
    assert page.locator("body").get_attribute("data-md-color-scheme") == "default"
    page.get_by_title("Dark").click()
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"
    desktop.open(address("scripts", "zh"))
    assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"


def test_the_keyboard_reaches_content_and_shows_where_it_is(desktop: Watched) -> None:
    page = desktop.open(address("index", "en"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className").startswith("md-skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    focused = page.evaluate(
        "() => [document.activeElement.closest('.md-content') !== null, getComputedStyle(document.activeElement).outlineStyle]"
    )
    assert focused == [True, "solid"]


# What people paste: lines of Slurm, the trainer and tools as they print them, and the entry that explains each.
PASTED = {
    "2026-03-01 10:00:00  ERROR[hub-token-rejected] The Hub rejects HF_TOKEN (401). Fix: x": "hub-token-rejected",
    "ERROR[config-value] config.env line 7: NUM_GPUS=65: must be a whole number from 1 to 64. Fix: x": "config-value",
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified": "slurm-account",
    "sbatch: error: invalid partition specified: gpus": "slurm-partition",
    "sbatch: error: Batch job submission failed: Invalid qos specification": "slurm-qos",
    "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS "
    "policy (job submit limit, user's size and/or time limits)": "slurm-policy",
    "Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)": "slurm-time",
    "sbatch: error: Batch job submission failed: Requested node configuration is not available": "slurm-nodes",
    "sbatch: error: Batch job submission failed: Node count specification invalid": "slurm-node-count",
    "sbatch: error: Invalid generic resource (gres) specification": "slurm-gres",
    "sbatch: error: Batch job submission failed: Invalid feature specification": "slurm-feature",
    "sbatch: error: Batch job submission failed: Requested reservation is invalid": "slurm-reservation",
    "sbatch: error: Memory specification can not be satisfied": "slurm-memory",
    "sbatch: error: Batch script contains DOS line breaks (\\r\\n)": "slurm-crlf",
    "sbatch: error: Unable to open file setup_and_train.sbatch": "slurm-open-file",
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)": "slurm-controller",
    "bash: sbatch: command not found": "slurm-not-found",
    "  4711 gpu diffuera me PD 0:00 1 (Resources)": "pending-resources",
    "  4711 gpu diffuera me PD 0:00 1 (Priority)": "pending-priority",
    "  4711 gpu diffuera me PD 0:00 1 (DependencyNeverSatisfied)": "pending-never",
    "  4711 gpu diffuera me PD 0:00 1 (ReqNodeNotAvail, UnavailableNodes:n[1-4])": "pending-nodes",
    "  4711 gpu diffuera me PD 0:00 1 (QOSMaxGRESPerUser)": "pending-qos",
    "  4711 gpu diffuera me PD 0:00 1 (AssocGrpGRES)": "pending-association",
    "  4711 gpu diffuera me PD 0:00 1 (launch failed requeued held)": "pending-held",
    "  4711 gpu diffuera me PD 0:00 1 (PartitionTimeLimit)": "pending-partition-limit",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-03-01T10:00:00 DUE TO TIME LIMIT ***": "ended-time",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-03-01T10:00:00 DUE TO PREEMPTION ***": "ended-preempted",
    "slurmstepd: error: *** JOB 4711 ON n1 CANCELLED AT 2026-03-01T10:00:00 ***": "ended-cancelled",
    "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=4711.batch.": "ended-memory",
    "srun: error: n1: task 0: Exited with exit code 1": "ended-exit-code",
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.": "gpu-memory",
    "RuntimeError: No CUDA GPUs are available": "torch-no-gpu",
    "RuntimeError: CUDA error: no kernel image is available for execution on the device": "torch-kernel",
    "RuntimeError: CUDA error: uncorrectable ECC error encountered": "torch-hardware",
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled system error": "nccl-error",
    "[Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE)": "nccl-timeout",
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:": "torch-child-failed",
    "RuntimeError: DataLoader worker (pid 12, 13) is killed by signal: Killed.": "torch-loader",
    "RuntimeError: DataLoader worker (pid 12) is killed by signal: Bus error. Out of insufficient shared memory": "shared-memory",
    "ModuleNotFoundError: No module named 'bitsandbytes'": "trainer-bitsandbytes",
    "ValueError: xformers is not available. Make sure it is installed correctly": "trainer-xformers",
    "train_DiffuEraser_stage1.py: error: unrecognized arguments: --nframe 3": "trainer-argument",
    "OSError: [Errno 122] Disk quota exceeded: '/p/x'": "disk-quota",
    "tar: x: Cannot write: No space left on device": "disk-full",
    "mkdir: cannot create directory '/p': Permission denied": "disk-permission",
    "curl: (6) Could not resolve host: huggingface.co": "network-name",
    "curl: (60) SSL certificate problem: unable to get local issuer certificate": "certificate",
    "curl: (56) Recv failure: Connection reset by peer": "network-broken",
    "ERROR: No matching distribution found for torch==2.3.1": "pip-version",
    "error: externally-managed-environment": "pip-managed",
    "CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://conda.anaconda.org/x>": "conda-http",
    "PackagesNotFoundError: The following packages are not available from current channels:": "conda-solve",
    "ImportError: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found": "library-symbol",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_finder_finds_entries(desktop: Watched, language: str) -> None:
    page = desktop.open(address("troubleshooting", language))
    everything = page.locator(".message:visible").count()
    found = {}
    for line in PASTED:
        page.locator("#message-text").fill(line)
        found[line] = page.evaluate("() => [...document.querySelectorAll('.message:not([hidden])')].map(e => e.dataset.id)")
    # A line with two reasons has two entries.
    assert {line: ids for line, ids in found.items() if PASTED[line] not in ids or len(ids) > 1 + ("\n" in line)} == {}
    page.locator("#message-text").fill("")
    assert page.locator(".message:visible").count() == everything


def headings(page: Page, selector: str) -> list[str]:
    """The texts of headings, without the sign of their permanent links."""
    return [text.rstrip("¶") for text in page.locator(selector).all_inner_texts()]


def test_finder_leads_to_the_entry_of_an_id(desktop: Watched) -> None:
    page = desktop.open(address("troubleshooting", "en"))
    page.locator("#message-text").fill("ERROR[disk-full] x: tar: No space left on device. Fix: Free some space.")
    assert headings(page, ".message:visible h3") == ["The disk is full"]
    assert headings(page, ".md-content h2:visible") == ["Disk", "Still stuck"], "empty groups are hidden"
    assert page.url.endswith("#disk-full"), "the address can be sent to somebody"
    shown = page.locator(".md-nav--secondary .md-nav__link:visible").all_inner_texts()
    assert "The disk is full" in shown
    assert "The quota is used up" not in shown


@pytest.mark.parametrize("line", ["INFO:accelerate:everything is as it should be", "it is not what it was", "xyzzy"])
def test_finder_says_when_it_finds_nothing(desktop: Watched, line: str) -> None:
    page = desktop.open(address("troubleshooting", "en"))
    page.locator("#message-text").fill(line)
    assert page.locator(".message:visible").count() == 0
    assert page.locator("#message-none").is_visible()
    page.locator("#message-none a").click()
    assert page.url.endswith("#still-stuck")


def test_entries_have_permanent_links(desktop: Watched) -> None:
    page = desktop.open(address("troubleshooting", "zh") + "#hub-token-rejected")
    heading = page.locator("[id='hub-token-rejected']")
    assert heading.is_visible()
    assert heading.locator(".headerlink").get_attribute("href") == "#hub-token-rejected"
