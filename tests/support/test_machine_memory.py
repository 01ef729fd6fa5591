import resource

import pytest

from tfmaskrcnn.support.machine_memory import MachineMemory, machine_memory

GIB = 2**30


@pytest.fixture
def system(tmp_path):
    """Write files below a root that stands for a Linux system of 16 GiB, 6 of them free."""

    def write(path, text):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("proc/meminfo", f"MemTotal: {16 * GIB // 1024} kB\nMemAvailable: {6 * GIB // 1024} kB\n")
    write.root = str(tmp_path)
    return write


def test_without_a_container_it_is_the_machine_s(system):
    assert machine_memory(system.root) == MachineMemory(16 * GIB, 6 * GIB, "the machine")


def test_a_container_of_cgroups_2_has_its_own_limit(system):
    # As a container sees it: its own group is the root.
    system("proc/self/cgroup", "0::/\n")
    system("sys/fs/cgroup/memory.max", f"{4 * GIB}\n")
    system("sys/fs/cgroup/memory.current", f"{3 * GIB}\n")
    system("sys/fs/cgroup/memory.stat", f"anon 1\ninactive_file {GIB}\n")  # goes when wanted
    assert machine_memory(system.root) == MachineMemory(4 * GIB, 2 * GIB, "the container")


def test_a_group_around_the_own_one_may_be_the_tightest(system):
    system("proc/self/cgroup", "0::/outer/inner\n")
    system("sys/fs/cgroup/outer/memory.max", f"{3 * GIB}\n")
    system("sys/fs/cgroup/outer/memory.current", f"{GIB}\n")
    system("sys/fs/cgroup/outer/inner/memory.max", "max\n")
    assert machine_memory(system.root) == MachineMemory(3 * GIB, 2 * GIB, "the container")


def test_cgroups_1_say_no_limit_by_a_number_beyond_all(system):
    system("proc/self/cgroup", "5:devices:/\n4:cpu,memory:/job\n0::/\n")
    system("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    system("sys/fs/cgroup/memory/memory.usage_in_bytes", f"{9 * GIB}\n")
    assert machine_memory(system.root) == MachineMemory(16 * GIB, 6 * GIB, "the machine")
    system("sys/fs/cgroup/memory/job/memory.limit_in_bytes", f"{8 * GIB}\n")
    system("sys/fs/cgroup/memory/job/memory.usage_in_bytes", f"{7 * GIB}\n")
    assert machine_memory(system.root) == MachineMemory(8 * GIB, GIB, "the container")


def test_a_group_that_is_over_its_limit_has_nothing_free(system):
    system("proc/self/cgroup", "0::/\n")
    system("sys/fs/cgroup/memory.max", f"{GIB}")
    system("sys/fs/cgroup/memory.current", f"{2 * GIB}")
    assert machine_memory(system.root).free == 0


def test_the_process_s_own_limit_counts(system, monkeypatch):
    limits = {resource.RLIMIT_AS: (2 * GIB, -1)}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits.get(kind, (-1, -1)))
    assert machine_memory(system.root) == MachineMemory(2 * GIB, 2 * GIB, "this process")


def test_damaged_files_are_as_good_as_none(system):
    system("proc/self/cgroup", "nonsense\n0\n\n0::/../../etc\n4:memory\n")
    system("sys/fs/cgroup/memory.max", "much\n")
    assert machine_memory(system.root) == MachineMemory(16 * GIB, 6 * GIB, "the machine")
    system("proc/meminfo", "MemTotal: lots kB\nMemAvailable:\n")
    found = machine_memory(system.root)  # by another way, or not at all
    assert found is None or found.total > GIB // 4


def test_this_machine_has_some():
    found = machine_memory()
    assert found is None or 0 <= found.free <= found.total
