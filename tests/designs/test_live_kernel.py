"""The experiments on the running kernel: for root, where the kernel has what they need."""

import os
from collections.abc import Callable

import pytest

from scamem.designs.live.experiments import Experiment, bpf_array_experiment, perf_buffer_experiment

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def attempt(experiment: Callable[[], Experiment]) -> Experiment:
    try:
        return experiment()
    except OSError as error:
        pytest.skip(f"this kernel or container does not let it run: {error}")


@needs_root
def test_a_pinned_vmalloc_page_outlives_its_area() -> None:
    found = attempt(bpf_array_experiment)
    assert found.findings["pinned page intact when read from the pipe"] is True
    assert found.findings["the pinned frame among them"] is False
    assert found.findings["runs of the 16 frames"] in range(1, 17)
    counts = [{frame.mapcount for frame in note.frames} for note in found.notes]
    assert counts[1] == {1}
    assert counts[2] == {2}
    assert counts[4] == {0}
    assert "pages=17 vmalloc user" in "\n".join(found.format())


@needs_root
def test_a_perf_buffer_counts_nothing_or_everything() -> None:
    found = attempt(perf_buffer_experiment)
    if found.findings["VM_PFNMAP (pf in VmFlags)"]:
        assert found.findings["frames in pagemap"] == 0
        assert str(found.findings["GUP"]).startswith("refused")
    else:  # before 6.14 its pages were inserted with counts
        assert found.findings["GUP"] == "taken"


@needs_root
def test_nothing_is_left_behind() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    affinity = os.sched_getaffinity(0)
    attempt(bpf_array_experiment)
    attempt(perf_buffer_experiment)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert os.sched_getaffinity(0) == affinity
