"""What runs in many processes starts in a second: their modules load neither a network's nor a language model's."""

import subprocess
import sys

import pytest

HEAVY = "torch torchvision timm transformers sklearn"


@pytest.mark.parametrize(
    "module", ["pipelines.workers.decode", "pipelines.ingest", "actors.miner", "system.run.code", "system.watchdog"]
)
def test_a_module_whose_functions_run_in_tasks_loads_no_network(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r}.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
